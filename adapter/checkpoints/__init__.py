"""Where checkpoints are kept: a file, PostgreSQL or Redis. Loads one at the start and saves its changes."""

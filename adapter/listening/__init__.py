"""Sources that receive HTTP requests."""

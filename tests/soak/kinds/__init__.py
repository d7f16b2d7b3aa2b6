"""The kinds of the pool in a soak run."""

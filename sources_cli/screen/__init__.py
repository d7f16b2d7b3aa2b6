"""What ``sources run`` shows."""

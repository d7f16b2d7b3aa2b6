"""Sources that poll an upstream at an interval."""

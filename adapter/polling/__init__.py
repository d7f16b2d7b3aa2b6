"""Sources that ask an upstream at an interval."""

"""The output of ``sources run``."""

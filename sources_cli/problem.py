"""What a person can put right: one line, exit code 2, no traceback."""


class Problem(Exception):
    """The text names the thing, shows the value and says what to write."""

"""An error that the user can fix. The command prints it as one line and exits with code 2."""


class Problem(Exception):
    """The text names the file, field or option, shows the value, and says what to write."""

"""An error that the maintainer can fix. The command prints it and exits with code 1."""


class Problem(Exception):
    """The text names the file or value, shows what is wrong, and says what to do."""

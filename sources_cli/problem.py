"""An error that the user can fix. The command prints it and exits with code 2."""

import difflib
from collections.abc import Iterable

from adapter.contract.formats import printable

EXTRA_MODULES = frozenset(("celpy", "kr8s", "lark", "rich", "typer", "watchfiles", "yaml"))


class Problem(Exception):
    """The text names the file, field or option, shows the value, and says what to write.

    Each argument is a line. Foreign text in it cannot break the line.
    """

    def __str__(self) -> str:
        return "\n".join(map(printable, self.args))


def missing_extra(error: ModuleNotFoundError) -> str:
    """The message if the module belongs to the extra ``dev``. Raises any other error again."""
    if (error.name or "").partition(".")[0] not in EXTRA_MODULES:
        raise error
    return f"the package {error.name} is not installed; install the extra dev, for example: pip install '.[dev]'"


def did_you_mean(written: str, known: Iterable[str], *, similarity: float = 0.6) -> str:
    """``; did you mean uri?``, with the name in ``known`` that is most like ``written``. Empty if none is like it."""
    names = {name.lower(): name for name in known}
    close = difflib.get_close_matches(written.lower(), names, 1, similarity)
    return f"; did you mean {names[close[0]]}?" if close else ""

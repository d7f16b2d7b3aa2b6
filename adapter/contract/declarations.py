"""Fields of a dataclass that are environment variables: declared, read, and listed for the documentation. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, NamedTuple

from adapter.contract import variables
from adapter.contract.formats import Json, quoted

HIDDEN = object()  # a value that no error shows
USER = "you"  # ``Variable.set_by`` of a variable that other programs read, too


class EnvError(ValueError):
    """A variable is invalid. ``value``: None if it is not set, ``HIDDEN`` if it may hold a secret. One line of text."""

    def __init__(self, variable: str, value: Json, expectation: str) -> None:
        shown = "is not set" if value is None else "is not valid" if value is HIDDEN else f"is {quoted(value)}"
        super().__init__(f"{variable} {shown}: {expectation}")
        self.variable = variable


@dataclass(frozen=True)
class Variable:
    """An environment variable that is a field of a dataclass. An empty text means the default."""

    name: str
    description: str
    if_absent: str = ""  # the default as the documentation shows it; empty: the text of the default
    set_by: str = "hook"
    read: Callable[[str], Any] = str  # ``ValueError`` says what to write
    write: Callable[[Any], str | None] = variables.text  # None: the variable is omitted
    has_secrets: bool = False  # no error shows the value, and no log line shows a secret in it

    def named_in(self, environ: Mapping[str, str]) -> Variable:
        """This variable, by the name that is set: other programs read both ``HTTP_PROXY`` and ``http_proxy``."""
        lower = self.name.lower()
        if self.set_by == USER and not environ.get(self.name) and environ.get(lower):
            return replace(self, name=lower)
        return self


class ReferenceRow(NamedTuple):
    """One variable for the documentation. Texts are Markdown."""

    name: str
    default: str
    set_by: str
    description: str


def declare(default: Any, name: str, description: str, if_absent: str = "", **details: Any) -> Any:
    """A field of a dataclass. ``details``: the other attributes of its :class:`Variable`."""
    metadata = {"variable": Variable(name, description, if_absent, **details)}
    if default == {}:
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def variables_of(cls: Any) -> list[tuple[str, Variable, Any]]:
    """Attribute, variable and default of each field, in order. ``MISSING``: there is no default."""
    return [
        (each.name, each.metadata["variable"], each.default if each.default_factory is MISSING else {})
        for each in fields(cls)
    ]


def read_variable(text: str | None, variable: Variable, default: Any) -> Any:
    """The value of one variable; ``EnvError`` if the text is invalid or a required variable is not set."""
    if not text and default is not MISSING:
        return default
    try:
        return variable.read(text or "")
    except ValueError as error:
        raise EnvError(variable.name, HIDDEN if text and variable.has_secrets else text or None, str(error)) from None


def reference_of(cls: Any) -> list[ReferenceRow]:
    """The variables of a dataclass in their order, for the documentation."""
    rows = []
    for _, variable, default in variables_of(cls):
        text = "" if default in (None, "", {}, MISSING) else variable.write(default) or ""
        shown = variable.if_absent or (f"`{text}`" if text else "none")
        rows.append(ReferenceRow(variable.name, shown, variable.set_by, variable.description))
    return rows

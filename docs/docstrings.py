"""The SDK reference as Markdown, from signatures, docstrings and the comments of attributes."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeGuard

from pydantic_core import PydanticUndefined

EXAMPLES = ("Context", "Interval", "Outcome")  # classes with a section "Example: NAME" below the generated part
Table = Callable[[tuple[str, ...], list[tuple[str, ...]]], str]


def sdk(table: Table) -> str:
    from adapter import sdk, testing

    own = [name for name in sdk.__all__ if getattr(sdk, name).__module__.startswith("adapter.")]
    parts = ["## adapter.sdk\n"]
    parts += [_entry(name, getattr(sdk, name), table) for name in own]
    parts.append(
        "### Client\n\n`Client` is [httpx2's `AsyncClient`](https://www.python-httpx.org/api/#asyncclient), "
        "for the annotation of `poll(self, client: Client)`.\n"
    )
    parts.append("### Field\n\n`Field` is [pydantic's](https://docs.pydantic.dev/latest/concepts/fields/).\n")
    parts.append("## adapter.testing\n")
    parts += [_fixture(node, testing) for node in ast.parse(inspect.getsource(testing)).body if _is_fixture(node)]
    for name in ("Sink", "SinkReply", "RESET", "VirtualClock", "Checkpoints"):
        value = getattr(testing, name)
        text = f"### {name}\n\n`{name}` is `{type(value).__name__}(reset=True)`: the sink closes the connection.\n"
        parts.append(_entry(name, value, table) if isinstance(value, type) else text)
    return "\n".join(parts)


def _entry(name: str, cls: type, table: Table) -> str:
    text = "" if enum.Enum in cls.__mro__ else f"`{_signature(name, cls)}`\n\n"
    parts = [f"### {name}\n\n{text}{prose(cls.__doc__)}\n"]
    if name in EXAMPLES:
        parts.append(f"See [the example](#example-{name.lower()}).\n")
    if rows := list(_attributes(cls)):
        parts.append(table(("attribute", "type", "default", "meaning"), rows))
    if rows := list(_methods(cls)):
        parts.append(table(("method", "meaning"), rows))
    return "\n".join(parts)


def _signature(name: str, cls: type) -> str:
    """The call of the class. Authors subclass a kind instead of calling it, so for a kind its class statement."""
    if issubclass(cls, str):
        return f"class {name}(str)"
    if hasattr(cls, "model_fields"):
        return f"class {name}({', '.join(base.__name__ for base in _parts(cls)[-1].__bases__)})"
    return f"{name}{_parameters(cls.__init__)}"


def _parameters(function: Any) -> str:
    """``(a, b=1)`` without ``self`` and types: the tables have those."""
    kept = [
        parameter.replace(annotation=parameter.empty, default=_plain(parameter.default))
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in ("self", "cls", "_")
    ]
    return str(inspect.Signature(kept))


class _Elided:
    """Replaces a default whose text does not help a reader: a function, a factory, a time."""

    def __repr__(self) -> str:
        return "…"


def _plain(value: Any) -> Any:
    written = value is inspect.Parameter.empty or value is None or isinstance(value, str | bytes | int | float | tuple)
    return value if written else _Elided()


def _is_fixture(node: ast.stmt) -> TypeGuard[ast.FunctionDef]:
    """Reads the source: the import of the module ``adapter.testing.sink`` replaces the fixture ``sink``."""
    return isinstance(node, ast.FunctionDef) and "pytest.fixture" in map(ast.unparse, node.decorator_list)


def _fixture(node: ast.FunctionDef, testing: ModuleType) -> str:
    name = node.name
    call = vars(getattr(testing, name.capitalize())).get("__call__")  # of the fixture's type, where it is a function
    shown = f"{name}{_parameters(call)}" if call else name
    return f"### Fixture {name}\n\n`{shown}`\n\n{prose(ast.get_docstring(node))}\n"


def _attributes(cls: type) -> Iterator[tuple[str, ...]]:
    """Annotated names of the class body; of an enumeration, its members."""
    fields = getattr(cls, "model_fields", {})
    defaults = {field.name: field for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
    for node, comment in (each for part in _parts(cls) for each in _body(part)):
        if isinstance(node, ast.Assign) and enum.Enum in cls.__mro__:
            yield f"`{ast.unparse(node.targets[0])}`", "", "", comment
        if not isinstance(node, ast.AnnAssign) or ast.unparse(node.target).startswith("_"):
            continue
        name, type_ = ast.unparse(node.target), ast.unparse(node.annotation)
        if type_.startswith("ClassVar["):
            if name not in vars(cls):
                continue
            type_, default, meaning = type_[9:-1], _shown(getattr(cls, name)), comment
        elif name in fields:
            default, meaning = _shown(fields[name].default), fields[name].description or comment
        else:
            field = defaults.get(name)
            default, meaning = _shown(field.default if field else PydanticUndefined), comment
        type_ = re.sub(r"^Annotated\[(\w+),.*", r"\1", type_)
        yield f"`{name}`", f"`{type_}`", default, meaning


def _parts(cls: type) -> list[type]:
    """The class and its base classes up to the first one that authors can import."""
    from adapter import sdk

    own = [base for base in cls.__bases__ if base.__module__.startswith("adapter.") and hasattr(base, "model_fields")]
    private = [base for base in own if base.__name__ not in sdk.__all__]
    return [cls, *(part for base in private for part in _parts(base))]


def _shown(default: Any) -> str:
    if default is PydanticUndefined or default is dataclasses.MISSING:
        return ""
    return "" if callable(default) else f"`{default!r}`"


def _methods(cls: type) -> Iterator[tuple[str, ...]]:
    fields = getattr(cls, "__dataclass_fields__", {})  # a lambda that is a default is not a method
    for name, value in vars(cls).items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if (
            name.startswith(("_", "model_"))
            or name in fields
            or not (inspect.isfunction(function) or isinstance(function, property))
        ):
            continue
        shown = name if isinstance(function, property) else name + _parameters(inspect.unwrap(function))
        yield f"`{shown}`", prose(function.__doc__).replace("\n\n", " ").replace("\n", " ")


def _body(cls: type) -> Iterator[tuple[ast.stmt, str]]:
    """The statements of the class, each with the comment at its end."""
    source = textwrap.dedent(inspect.getsource(cls))
    lines, tree = source.splitlines(), ast.parse(source)
    for node in tree.body[0].body:  # type: ignore[attr-defined]  # it is a class
        rest = lines[(node.end_lineno or 1) - 1].encode()[node.end_col_offset or 0 :].decode()
        yield node, prose(rest.partition("# ")[2]).strip()


def prose(text: str | None) -> str:
    """A docstring as Markdown: no reST roles, single backticks."""
    if text and re.match(r"\w+\(\w+: '", text):  # what a dataclass without a docstring gets
        return ""
    clean = re.sub(r":\w+:`~[^`]*?(\w+)`|:\w+:`([^`]+)`", r"`\1\2`", inspect.cleandoc(text or ""))
    code = re.split("(`[^`]*`)", clean.replace("``", "`"))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in code)

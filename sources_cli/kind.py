"""A kind: its class, and its names in Kubernetes."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from adapter.contract.declarations import EnvError
from adapter.contract.kind_names import kebab, kind_problem, plural
from adapter.loading import describe_error, load_module, module_name, source_class
from adapter.model.event import EventType
from adapter.model.source import Source
from adapter.serving.failures import author_line
from sources_cli.problem import Problem, did_you_mean

AUTHOR_ERRORS = (Exception, SystemExit)  # what a module of an author can raise. KeyboardInterrupt may be Ctrl-C.
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*Source", re.ASCII)
_SET_BY = {"SOURCES_PACKAGE": "--package", "SOURCE_KIND": "kind"}  # variable of an adapter -> option or field


@dataclass(frozen=True)
class Kind:
    source_class: type[Source]
    package: str

    @property
    def name(self) -> str:
        return self.source_class.__name__

    @property
    def api_version(self) -> str:
        return self.source_class.api_version

    @property
    def module(self) -> str:
        return f"{self.package}.{module_name(self.name)}"

    @property
    def group(self) -> str:
        return self.api_version.partition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.partition("/")[2]

    @property
    def plural(self) -> str:
        return plural(self.name)

    @property
    def kebab(self) -> str:
        return kebab(self.name)

    @property
    def short_name(self) -> str:
        initials = "".join(word[0] for word in self.kebab.removesuffix("source").split("-") if word)
        return self.source_class.short_name or f"{initials}src"

    @property
    def listens(self) -> bool:
        return self.source_class.listens

    @property
    def event_types(self) -> tuple[EventType, ...]:
        types = self.source_class.event_types
        return tuple(type_ if isinstance(type_, EventType) else EventType(type_) for type_ in types)

    @property
    def query(self) -> dict[str, str]:
        """Query parameters for the hook: the event types that it lists in ``status``, and whether the kind polls."""
        cls = self.source_class
        parameters = {
            "types": ",".join(self.event_types),
            "typeField": cls.event_type_field,
            "polls": "true" if cls.is_poller else "",
        }
        return {name: value for name, value in parameters.items() if value}


class UnknownKind(Problem):
    """The package contains no kind of this name."""


def kind_named(name: str, package: str) -> Kind:
    """The kind that a source names in ``kind``. The adapter finds the class in the same way."""
    try:
        cls = source_class(name, package)
    except EnvError as error:
        text = f"{_SET_BY[error.variable]}{str(error).removeprefix(error.variable)}"
        if error.variable != "SOURCE_KIND":
            raise Problem(text) from None
        names = [kind.name for kind in kinds_in(package)]
        raise UnknownKind(f"{text}{did_you_mean(name, names, similarity=0.75)}") from None
    except AUTHOR_ERRORS as error:
        raise _not_loaded(f"{package}.{module_name(name)}", error) from None
    return _checked(cls, package)


@cache
def kinds_in(package: str) -> tuple[Kind, ...]:
    """The kinds of a package, without the modules that cannot be loaded. They are reported when their kind is used."""
    return tuple(_kinds_in(package))


def _kinds_in(package: str) -> Iterator[Kind]:
    try:
        modules = [info.name for info in pkgutil.iter_modules(load_module(package).__path__)]
    except AUTHOR_ERRORS:
        return
    for module in modules:
        try:
            yield kind_of_module(f"{package}.{module}")
        except Problem:
            continue


def kind_of_module(text: str) -> Kind:
    """``text``: ``package.module``, or a file below the working directory. The module must define one kind."""
    dotted = _dotted(Path(text)) if text.endswith(".py") else text
    package, _, last = dotted.rpartition(".")
    if not package:
        raise Problem(f'"{text}" is not in a package; move it into a directory, like kinds/{last}.py')
    classes = _own_source_classes(dotted)
    if len(classes) != 1:
        found = ", ".join(cls.__name__ for cls in classes) or "none"
        raise Problem(f"{dotted} must define exactly one subclass of Source; found: {found}")
    expected = module_name(classes[0].__name__)
    if expected != last:
        raise Problem(
            f"{dotted} defines {classes[0].__name__}, but adapters import it from {expected}.py; rename the file"
        )
    return _checked(classes[0], package)


def check_name(kind: str) -> None:
    if not _CLASS.fullmatch(kind):
        raise Problem(
            f'the class name "{kind}" is not valid; write CamelCase that ends in Source, like QueueDepthSource'
        )
    if problem := kind_problem(kind):
        raise Problem(problem)


def _own_source_classes(dotted: str) -> list[type[Source]]:
    """The subclasses of Source that the module defines itself."""
    try:
        module = load_module(dotted)
    except AUTHOR_ERRORS as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{dotted}.".startswith(f"{missing}."):
            raise Problem(f'module "{dotted}" does not exist; write one like adapter.sources.sample_source') from None
        raise _not_loaded(dotted, error) from None
    classes = [member for member in vars(module).values() if isinstance(member, type) and issubclass(member, Source)]
    return [cls for cls in classes if cls.__module__ == module.__name__]


def _dotted(path: Path) -> str:
    try:
        relative = path.resolve().relative_to(Path.cwd())
    except ValueError:
        raise Problem(
            f"{path} is not below the working directory; change to the directory that contains its package"
        ) from None
    return ".".join(relative.with_suffix("").parts)


def _checked(cls: type[Source], package: str) -> Kind:
    check_name(cls.__name__)
    fields = {field.alias or name for name, field in cls.model_fields.items()}
    if cls.event_type_field and cls.event_type_field not in fields:
        raise Problem(f'{cls.__name__}.event_type_field is "{cls.event_type_field}": write the name of a field of spec')
    return Kind(cls, package)


def _not_loaded(module: str, error: BaseException) -> Problem:
    line = author_line(error, module)
    return Problem(f"{module} cannot be loaded: {describe_error(error)}{line and f' ({line})'}")

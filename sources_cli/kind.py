"""A kind: its class, and the names Kubernetes has for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter.contract.environment import EnvError
from adapter.loading import load_module, module_name, source_class
from adapter.model.event import EventType
from adapter.model.source import Source
from hooks.names import kebab, plural
from sources_cli.problem import Problem

Json = Any
_GROUP = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+"
_API_VERSION = re.compile(rf"{_GROUP}/v[0-9]+((alpha|beta)[0-9]+)?", re.ASCII)
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*Source", re.ASCII)


@dataclass(frozen=True)
class Kind:
    cls: type[Source]
    package: str

    @property
    def name(self) -> str:
        return self.cls.__name__

    @property
    def module(self) -> str:
        return f"{self.package}.{module_name(self.name)}"

    @property
    def group(self) -> str:
        return self.cls.api_version.partition("/")[0]

    @property
    def version(self) -> str:
        return self.cls.api_version.partition("/")[2]

    @property
    def plural(self) -> str:
        return plural(self.name)

    @property
    def kebab(self) -> str:
        return kebab(self.name)

    @property
    def short_name(self) -> str:
        initials = "".join(word[0] for word in self.kebab.removesuffix("source").split("-") if word)
        return self.cls.short_name or f"{initials}src"

    @property
    def listens(self) -> bool:
        return self.cls.listens

    @property
    def event_types(self) -> tuple[EventType, ...]:
        return tuple(it if isinstance(it, EventType) else EventType(it) for it in self.cls.event_types)

    @property
    def query(self) -> dict[str, str]:
        """What the hook is told of the kind: the types its status lists."""
        told = {"types": ",".join(self.event_types), "typeField": self.cls.event_type_field}
        return {name: value for name, value in told.items() if value}


def kind_named(name: str, package: str) -> Kind:
    """The class a source's ``kind`` means, found as the adapter finds it."""
    try:
        return _checked(source_class(name, package), package)
    except EnvError as error:
        raise Problem(str(error).replace("SOURCES_PACKAGE", "--package").replace("SOURCE_KIND", "kind")) from None
    except Exception as error:  # whatever an author's module may raise
        raise _broken(f"{package}.{module_name(name)}", error) from None


def kind_of_module(text: str) -> Kind:
    """``package.module``, or the module's file below the working directory; it holds one kind."""
    dotted = _dotted(Path(text)) if text.endswith(".py") else text
    package, _, last = dotted.rpartition(".")
    if not package:
        raise Problem(f'"{text}" is in no package; put it into a directory, like kinds/{last}.py')
    try:
        module = load_module(dotted)
    except ModuleNotFoundError as error:
        if error.name and f"{dotted}.".startswith(f"{error.name}."):
            raise Problem(f'there is no module "{dotted}"; write one like adapter.sources.sample_source') from None
        raise _broken(dotted, error) from None
    except Exception as error:  # whatever an author's module may raise
        raise _broken(dotted, error) from None
    own = [it for it in vars(module).values() if isinstance(it, type) and issubclass(it, Source)]
    classes = [it for it in own if it.__module__ == module.__name__]
    if len(classes) != 1:
        found = ", ".join(it.__name__ for it in classes) or "none"
        raise Problem(f"{dotted} must hold one subclass of Source; it holds: {found}")
    if module_name(classes[0].__name__) != last:
        wanted = module_name(classes[0].__name__)
        raise Problem(f"{dotted} holds {classes[0].__name__}, which adapters look for in {wanted}.py; rename the file")
    return _checked(classes[0], package)


def _dotted(path: Path) -> str:
    try:
        relative = path.resolve().relative_to(Path.cwd())
    except ValueError:
        raise Problem(
            f"{path} is not below the working directory; change into the directory above its package"
        ) from None
    return ".".join(relative.with_suffix("").parts)


def check_name(kind: str) -> None:
    if not _CLASS.fullmatch(kind):
        raise Problem(f'the class "{kind}" names a kind: write CamelCase that ends with Source')


def _checked(cls: type[Source], package: str) -> Kind:
    check_name(cls.__name__)
    if not _API_VERSION.fullmatch(cls.api_version):
        raise Problem(f'{cls.__name__}.api_version is "{cls.api_version}": write group/version like example.com/v1')
    if cls.event_type_field and cls.event_type_field not in {it.alias or name for name, it in cls.model_fields.items()}:
        raise Problem(f'{cls.__name__}.event_type_field is "{cls.event_type_field}": write the name of a field of spec')
    return Kind(cls, package)


def _broken(module: str, error: Exception) -> Problem:
    text = " ".join(str(error).split())
    return Problem(f"{module} cannot be loaded: {type(error).__name__}: {text}")

"""A kind: its class, and its names in Kubernetes."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from urllib.parse import quote

from adapter.contract.declarations import EnvError
from adapter.contract.formats import Json, sorted_json
from adapter.contract.kind_names import kebab, kind_problem, plural
from adapter.loading import describe_error, load_module, module_name, source_class
from adapter.model.event import EventType
from adapter.model.source import Source
from adapter.serving.failures import author_line
from hooks.checkpoint import Checkpoint
from hooks.pod_settings.merge import merge
from hooks.pod_settings.read import read
from hooks.pod_settings.settings import InvalidSettings
from sources_cli.problem import Problem, did_you_mean

QUERY_SAFE = "/,:@"  # of the punctuation in a query; other characters are percent-encoded
MAX_DEFAULTS = 8 * 1024  # characters; the head of a request to the hook has at most 64 KiB
AUTHOR_ERRORS = (Exception, SystemExit)  # what a module of an author can raise. KeyboardInterrupt may be Ctrl-C.
_CLASS = re.compile(r"[A-Z][A-Za-z0-9]*Source", re.ASCII)
_SET_BY = {"SOURCES_PACKAGE": "--package", "SOURCE_KIND": "kind"}  # variable of an adapter -> option or field


@dataclass(frozen=True)
class ClusterOptions:
    """What the command line says about the sources of all kinds."""

    adapter_defaults: Mapping[str, Json] = field(default_factory=dict)  # fields of spec.adapter
    copied_labels: tuple[str, ...] = ()  # names of labels that the Deployment and the pods of a source get, too
    checkpoint: Checkpoint | None = None  # the default for spec.checkpoint


@dataclass(frozen=True)
class Kind:
    """``cluster_checkpoint``: the field of ``spec.checkpoint`` that is the default of the cluster; empty if none is."""

    source_class: type[Source]
    package: str
    cluster_checkpoint: str = ""

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
    def default_checkpoint(self) -> str:
        """The field of ``spec.checkpoint`` that applies to sources without one."""
        return self.cluster_checkpoint or ("pod" if self.source_class.is_poller else "none")

    def in_cluster(self, checkpoint: Checkpoint | None) -> Kind:
        """This kind where ``checkpoint`` is the default of the cluster."""
        return replace(self, cluster_checkpoint=checkpoint.form if checkpoint else "")

    @property
    def event_types(self) -> tuple[EventType, ...]:
        types = self.source_class.event_types
        return tuple(type_ if isinstance(type_, EventType) else EventType(type_) for type_ in types)

    def query(self, cluster: ClusterOptions) -> dict[str, str]:
        """Query parameters of ``/sync``. The defaults of the cluster are merged over those of the class.

        ``Problem`` if the merged defaults are not valid or too long.
        """
        adapter = merge(self.source_class.adapter, cluster.adapter_defaults)
        parameters = {
            "types": ",".join(self.event_types),
            "typeField": self.source_class.event_type_field,
            "polls": "true" if self.source_class.is_poller else "",
            "adapter": _checked_defaults(self.name, adapter) if adapter else "",
            "copiedLabels": ",".join(cluster.copied_labels),
            "checkpoint": sorted_json(cluster.checkpoint.canonical()) if cluster.checkpoint else "",
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
    _check_defaults(cls.adapter, f"{cls.__name__}.adapter")
    return Kind(cls, package)


def _check_defaults(adapter: Json, name: str) -> None:
    try:
        read(adapter, name)
    except InvalidSettings as error:
        raise Problem(str(error)) from None


def _checked_defaults(kind: str, adapter: Json) -> str:
    """Compact JSON. Two valid levels may not fit together, for example a request above a limit."""
    text = sorted_json(adapter)
    _check_defaults(adapter, f"{kind}.adapter with the defaults of the file: adapter")
    if (length := len(quote(text, safe=QUERY_SAFE))) > MAX_DEFAULTS:
        raise Problem(
            f"the defaults for spec.adapter of {kind} take {length} characters in the URL of the webhook; "
            f"write at most {MAX_DEFAULTS}"
        )
    return text


def _not_loaded(module: str, error: BaseException) -> Problem:
    line = author_line(error, module)
    return Problem(f"{module} cannot be loaded: {describe_error(error)}{line and f' ({line})'}")

"""Imports the class of a kind, and creates the source from the environment.

This runs code that authors of kinds wrote. The text of an ``EnvError`` is one line with the variable, its value and
what to write.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import warnings
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from adapter.contract.declarations import EnvError
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import Json
from adapter.contract.kind_names import with_separator

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from adapter.model.source import Source

CONFIG = "SOURCE_CONFIG"
PLACEHOLDER = "(secret)"
_SHADOWS = r'Field name "\w+" in "\w+" shadows an attribute in parent "(Source|Timer|Poller|Listener)"'


def module_name(kind: str) -> str:
    """``QueueDepthSource`` -> ``queue_depth_source``."""
    return with_separator(kind, "_")


def load_module(name: str) -> ModuleType:
    """Import a module of kinds. Hides a warning of pydantic about fields that :class:`Source` rejects with an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _SHADOWS, UserWarning)
        return importlib.import_module(name)


def source_class(kind: str, package_name: str) -> type[Source]:
    """Import the class of a kind. ``EnvError`` if the package or the kind does not exist.

    Exceptions of the module itself are raised unchanged.
    """
    from adapter.model.source import Source

    try:
        package = load_module(package_name)
    except ModuleNotFoundError as error:
        if error.name and f"{package_name}.".startswith(f"{error.name}."):
            raise EnvError("SOURCES_PACKAGE", package_name, "no such package; write a package with kinds") from None
        raise
    modules = sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
    name = module_name(kind)
    found = getattr(load_module(f"{package_name}.{name}"), kind, None) if name in modules else None
    if isinstance(found, type) and issubclass(found, Source):
        return found
    if name in modules:
        message = f"{package_name}.{name} has no class of this name; rename its class, or the module"
        raise EnvError("SOURCE_KIND", kind, message)
    kinds = ", ".join("".join(word.capitalize() for word in module.split("_")) for module in modules)
    raise EnvError("SOURCE_KIND", kind, f"{package_name} has no such kind; there are: {kinds or 'none'}")


def loaded_class(env: AdapterEnv) -> type | None:
    """The class of the kind if its module has been imported."""
    found = getattr(sys.modules.get(f"{env.sources_package}.{module_name(env.kind)}"), env.kind, None)
    return found if isinstance(found, type) else None


def load_source(env: AdapterEnv) -> Source:
    """``EnvError`` if there is no such kind, or if its class rejects the config."""
    return make_source(source_class(env.kind, env.sources_package), env)


def make_source(cls: type[Source], env: AdapterEnv) -> Source:
    """Create the source. ``EnvError`` if the class rejects the config; its text contains no secret.

    To ensure this, a rejected config is validated again with a placeholder for each secret. Only a message that results
    from both validations is shown, with the value of the second one.
    """
    fields = env.source_fields()
    try:
        return cls.model_validate(fields)
    except Exception as error:  # pydantic's ValidationError, or any exception of a check that an author wrote
        problem = _problems(error, fields)[0]
    # An empty secret stays empty, because the message that it is empty helps.
    placeholders = {name: PLACEHOLDER if value.strip() else "" for name, value in env.secrets.items()}
    fields = replace(env, secrets=placeholders).source_fields()
    try:
        cls.model_validate(fields)
    except Exception as error:
        for safe in _problems(error, fields):
            if (safe.variable, safe.message) == (problem.variable, problem.message):
                raise EnvError(safe.variable, safe.value, safe.message) from None
    value = PLACEHOLDER if problem.variable != CONFIG else fields
    message = f"a value from a Secret or ConfigMap is not valid ({problem.type}); check that it is complete"
    raise EnvError(problem.variable, value, message)


class _Problem(NamedTuple):
    variable: str
    value: Json
    message: str
    type: str


def _problems(error: Exception, fields: Json) -> list[_Problem]:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return [_problem(details) for details in error.errors(include_url=False, include_context=False)]
    message = f"the class of the kind rejects it ({describe_error(error)})"
    return [_Problem(CONFIG, fields, message, type(error).__name__)]


def _problem(details: ErrorDetails) -> _Problem:
    path = ".".join(map(str, details["loc"]))
    variable = "INTERVAL" if path == "interval" else f"{CONFIG}, field {path}," if path else CONFIG
    value = None if details["type"] == "missing" else details["input"]
    return _Problem(variable, value, details["msg"].removeprefix("Value error, "), details["type"])


def describe_error(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")

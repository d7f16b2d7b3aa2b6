"""A kind's class, found by its name, and a source made of it and of the environment.

Authors' code runs here: what it refuses is one line that names the variable, its value and what to write.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import warnings
from types import ModuleType
from typing import TYPE_CHECKING

from adapter.contract.environment import AdapterEnv, EnvError
from adapter.observe.redaction import contains_secret, redacted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from adapter.model.source import Source

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SHADOWS = r'Field name "\w+" in "\w+" shadows an attribute in parent "(Source|Timer|Poller|Listener)"'


def module_name(kind: str) -> str:
    """``QueueDepthSource`` -> ``queue_depth_source``."""
    return _WORD_START.sub("_", kind).lower()


def load_module(name: str) -> ModuleType:
    """A module of an author's kinds. pydantic's warning about a field is left out where our own sentence refuses it."""
    warnings.filterwarnings("ignore", _SHADOWS, UserWarning)
    return importlib.import_module(name)


def source_class(kind: str, package_name: str) -> type[Source]:
    """``EnvError`` if there is no such kind; an error inside its module is the module's own."""
    from adapter.model.source import Source

    try:
        package = load_module(package_name)
    except ModuleNotFoundError as error:
        if error.name and f"{package_name}.".startswith(f"{error.name}."):
            raise EnvError("SOURCES_PACKAGE", package_name, "no such package; write one that holds sources") from None
        raise
    modules = sorted(it.name for it in pkgutil.iter_modules(package.__path__) if not it.name.startswith("_"))
    name = module_name(kind)
    found = getattr(load_module(f"{package_name}.{name}"), kind, None) if name in modules else None
    if isinstance(found, type) and issubclass(found, Source):
        return found
    kinds = ", ".join("".join(word.capitalize() for word in module.split("_")) for module in modules)
    raise EnvError("SOURCE_KIND", kind, f"{package_name} has no such kind; there are: {kinds or 'none'}")


def load_source(env: AdapterEnv) -> Source:
    from pydantic import ValidationError

    cls = source_class(env.kind, env.sources_package)
    try:
        return cls.model_validate(env.source_fields())
    except ValidationError as error:
        raise _field_error(env, error.errors(include_url=False)[0]) from None
    except Exception as error:  # an author's check that says no in its library's words
        words = describe_error(error)
        if contains_secret(words, env.secrets.values()):
            words = type(error).__name__
        config = json.dumps(env.config, ensure_ascii=False)
        raise EnvError("SOURCE_CONFIG", config, f"{env.kind} refuses it ({words})") from None


def describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def _field_error(env: AdapterEnv, error: ErrorDetails) -> EnvError:
    """Names the variable that holds the field; shows no secret, be it in the value or in the author's sentence."""
    path = ".".join(map(str, error["loc"]))
    message = error["msg"].removeprefix("Value error, ")
    if path == "interval" and env.interval is not None:
        return EnvError("INTERVAL", env.interval, message)
    secrets = env.secrets.values()
    if contains_secret(message, secrets):
        message = f"the value is not usable ({error['type']})"
    value = redacted(error["input"], secrets)
    if error["type"] == "missing":
        value = None
    elif not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return EnvError(f"SOURCE_CONFIG, field {path}," if path else "SOURCE_CONFIG", value, message)

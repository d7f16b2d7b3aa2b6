"""The environment of the process, and that of one source as the hook sends it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter.contract import variables
from adapter.contract.declarations import HIDDEN, EnvError, Variable, declare, read_variable, variables_of
from adapter.contract.environment import HEALTH_PORT, AdapterEnv

POOL_PORT = 8090
_SECRET = "SOURCE_SECRET_"
_CREDENTIALS = ("SINK_AUTH", "DEAD_LETTER_SINK_AUTH", "K_AUDIENCE", "DEAD_LETTER_AUDIENCE", "CHECKPOINT_URL")
_OWN_DEPLOYMENT = "a pool holds no credentials and saves nothing; run this source in a Deployment of its own"
_LOGGING = "Knative's `config-logging` as JSON: the log level."
_PACKAGE = "The package of the kinds."
_TOKENS = "A file with one token per line. Callers of `POOL_PORT` then need one: `Authorization: Bearer TOKEN`."
_HEALTH = "The port of `/health`, `/readiness` and `/metrics`."


@dataclass(frozen=True, kw_only=True)
class PoolEnv:
    """The settings of a pool. ``name`` and ``namespace`` are those of the SourcePool."""

    namespace: str = declare("default", "NAMESPACE", "The namespace of the SourcePool.")
    name: str = declare("pool", "NAME", "The name of the SourcePool.")
    logging_config: str = declare("", "K_LOGGING_CONFIG", _LOGGING)
    sources_package: str = declare("adapter.sources", "SOURCES_PACKAGE", _PACKAGE, read=variables.package)
    token_file: Path | None = declare(None, "POOL_TOKEN_FILE", _TOKENS, read=Path)  # noqa: RUF009 -- a Path is immutable
    port: int = declare(POOL_PORT, "POOL_PORT", "The port of `/run` and `/keep`.", read=variables.port)
    health_port: int = declare(HEALTH_PORT, "HEALTH_PORT", _HEALTH, read=variables.port)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> PoolEnv:
        """``EnvError`` names the first variable that is invalid."""
        read: dict[str, Any] = {
            attribute: read_variable(environ.get(variable.name), variable, default)
            for attribute, variable, default in variables_of(cls)
        }
        return cls(**read)


class SourceEnvs:
    """Reads the environments of sources. What the image or the user sets is that of the process, ``environ``.

    Spans are not exported: the variables of OpenTelemetry have no effect.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        declared: list[Variable] = [variable for _, variable, _ in variables_of(AdapterEnv)]
        self._own = {each.name for each in declared if each.set_by not in ("hook", "Knative")}
        lower = {each.name.lower() for each in declared if each.set_by == "you"}
        names = (self._own | lower) - {each for each in self._own if "<" in each}
        self._base = {name: environ[name] for name in names if name in environ}

    def read(self, environ: Mapping[str, str]) -> AdapterEnv:
        """``EnvError`` if a variable is invalid, belongs to the process, or needs a Deployment of its own."""
        for name, text in environ.items():
            if name in self._own or name.startswith("OTEL_"):
                raise EnvError(name, HIDDEN, "the process of the pool sets it for all sources; remove it")
            if text and (name in _CREDENTIALS or name.startswith(_SECRET)):
                raise EnvError(name, HIDDEN, _OWN_DEPLOYMENT)
        return AdapterEnv.from_environ(self._base | dict(environ))

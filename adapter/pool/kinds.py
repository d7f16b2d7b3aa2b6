"""The classes of kinds that a pool can run, and a source from its environment."""

from __future__ import annotations

from adapter.contract.declarations import EnvError
from adapter.contract.environment import AdapterEnv
from adapter.loading import describe_error, make_source, source_class
from adapter.model.source import Source
from adapter.timing.scheduled import Scheduled
from adapter.timing.timer import Timer

# A plain Timer keeps what these define: the pool does not call an author's own version of them.
_KEPT: dict[str, type[Source]] = {
    "events": Timer,
    "workers": Source,
    "running": Source,
    "sends_again": Scheduled,
}


class Kinds:
    """Remembers the class of each kind: to look for it in its package takes five times as long as to start a source."""

    def __init__(self) -> None:
        self._classes: dict[tuple[str, str], type[Timer]] = {}

    def load(self, env: AdapterEnv) -> Timer:
        """``EnvError`` if there is no such kind, if it is not a plain Timer, or if its class rejects the config."""
        key = env.sources_package, env.kind
        cls = self._classes.get(key)
        if cls is None:
            cls = self._classes[key] = _plain(env.kind, self._imported(env))
        source = make_source(cls, env)
        assert isinstance(source, Timer)
        return source

    @staticmethod
    def _imported(env: AdapterEnv) -> type[Source]:
        try:
            return source_class(env.kind, env.sources_package)
        except EnvError:
            raise
        except Exception as error:  # of the author's module
            raise EnvError(
                "SOURCE_KIND", env.kind, f"its module cannot be imported ({describe_error(error)})"
            ) from None


def _plain(kind: str, cls: type[Source]) -> type[Timer]:
    advice = "a pool runs plain Timers only; run this kind in Deployments"
    if not issubclass(cls, Timer):
        raise EnvError("SOURCE_KIND", kind, f"it is not a Timer; {advice}")
    changed = [name for name, base in _KEPT.items() if getattr(cls, name) is not getattr(base, name)]
    changed += ["listens"] if cls.listens else []
    if changed:
        raise EnvError("SOURCE_KIND", kind, f"its class defines {changed[0]}; {advice}")
    return cls

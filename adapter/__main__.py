"""``python -m adapter``: run the one source that the environment describes (see :mod:`adapter.contract`).

Exit codes:

* 0 - stopped by SIGTERM or SIGINT
* 1 - the source's own code failed; the last log line says how
* 2 - the environment cannot be used; one line on stderr names the variable, its value and what to write
* 3 - HEALTH_PORT is taken
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import re
import signal
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from adapter.contract import AdapterEnv, EnvError
from adapter.redaction import redacted, repeats

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from adapter.channel import Channel
    from adapter.delivery import Delivery
    from adapter.runtime import Runtime
    from adapter.source import Clock, Source

_SHADOWS = r'Field name "\w+" in "\w+" shadows an attribute in parent "(Source|Timer|Poller|Listener)"'
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
SOURCE_FAILED, BAD_ENVIRONMENT, PORT_TAKEN = 1, 2, 3


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # imports take a while and a stop may come before they are done
    try:
        return _start(AdapterEnv.from_environ(os.environ))
    except EnvError as error:
        print(" ".join(str(error).splitlines()), file=sys.stderr)
        return BAD_ENVIRONMENT


def _leave(*_: object) -> NoReturn:
    raise SystemExit(0)


def _start(env: AdapterEnv) -> int:
    import asyncio

    from adapter import logs

    log = logs.configure(env.namespace, env.name, env.logging_config)
    try:
        return asyncio.run(_run(env))
    except EnvError:
        raise
    except Exception as error:
        fields = {"error": f"{type(error).__name__}: {error}", "kind": env.kind, "at": logs.place_of(error)}
        log.error("the source failed", extra={"fields": fields})
        return SOURCE_FAILED


async def _run(env: AdapterEnv) -> int:
    import asyncio
    import logging
    from random import Random

    from adapter.delivery import Delivery
    from adapter.metrics import CONTENT_TYPE, Metrics
    from adapter.runtime import Drain, Runtime, SystemClock, context_of
    from adapter.server import Limits, Response, health, listen

    source = load_source(env)
    log = logging.getLogger("adapter")
    metrics, clock = Metrics(env.namespace, env.name, env.kind), SystemClock()
    policy = env.policy
    async with contextlib.AsyncExitStack() as stack:
        sink, dead_letters = [
            channel and await stack.enter_async_context(contextlib.aclosing(channel))
            for channel in _channels(env, clock)
        ]
        assert sink
        delivery = Delivery(sink, policy, clock, Random(), metrics, log, dead_letters=dead_letters)
        more = {"port": env.port, "trust_bundles": Path(env.trust_bundles)}
        context = context_of(env.source, env.identity, env.created, clock, log, metrics, **more)
        drain = Drain(policy.drain_s, policy.timeout_s if dead_letters else 0.0, delivery.hurry)
        runtime = Runtime(
            source,
            context,
            delivery.deliver,
            metrics,
            namespace=env.namespace,
            overrides=env.ce_overrides or {},
            drain=drain,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, runtime.stop)
        pages = health(
            lambda: _unready(runtime, delivery),
            lambda: Response(200, metrics.render(), {"Content-Type": CONTENT_TYPE}),
        )
        try:
            server = await listen(pages, env.health_port, Limits())
        except OSError as error:
            print(f"HEALTH_PORT {env.health_port} cannot be listened on: {error.strerror}", file=sys.stderr)
            return PORT_TAKEN
        fields = {"kind": env.kind, "sink": sink.destination.public_url, "source": env.source}
        log.info("started", extra={"fields": fields})
        try:
            await runtime.run()
        finally:
            server.close()
    log.info("stopped")
    return 0


def _unready(runtime: Runtime, delivery: Delivery) -> str | None:
    if runtime.stopping:
        return "stopping"
    return runtime.trouble if delivery.healthy else "the sink takes no event"


def _channels(env: AdapterEnv, clock: Clock) -> tuple[Channel, Channel | None]:
    """The sink, and the dead letter sink if there is one."""
    from adapter.channel import Channel, Destination

    bundles, tokens = Path(env.trust_bundles), Path(env.token_directory)
    sink = Destination(env.sink, env.ca_certs, env.audience, tokens / "token", bundles)
    timeout_s = env.policy.timeout_s
    if env.dead_letter_sink is None:
        return Channel(sink, timeout_s, clock), None
    dead_letters = Destination(
        env.dead_letter_sink,
        env.dead_letter_ca_certs,
        env.dead_letter_audience,
        tokens / "dead-letter-token",
        bundles,
        "DEAD_LETTER_SINK",
    )
    return Channel(sink, timeout_s, clock), Channel(dead_letters, timeout_s, clock)


def module_name(kind: str) -> str:
    """``QueueDepthSource`` -> ``queue_depth_source``."""
    return _WORD_START.sub("_", kind).lower()


def load_module(name: str) -> ModuleType:
    """A module of an author's kinds. pydantic's warning about a field is left out where our own sentence refuses it."""
    warnings.filterwarnings("ignore", _SHADOWS, UserWarning)
    return importlib.import_module(name)


def source_class(kind: str, package_name: str) -> type[Source]:
    """``EnvError`` if there is no such kind; an error inside its module is the module's own."""
    from adapter.source import Source

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
        words = said_of(error)
        if repeats(words, env.secrets.values()):
            words = type(error).__name__
        config = json.dumps(env.config, ensure_ascii=False)
        raise EnvError("SOURCE_CONFIG", config, f"{env.kind} refuses it ({words})") from None


def said_of(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def _field_error(env: AdapterEnv, error: ErrorDetails) -> EnvError:
    """Names the variable that holds the field; shows no secret, be it in the value or in the author's sentence."""
    path = ".".join(map(str, error["loc"]))
    message = error["msg"].removeprefix("Value error, ")
    if path == "interval" and env.interval is not None:
        return EnvError("INTERVAL", env.interval, message)
    secrets = env.secrets.values()
    if repeats(message, secrets):
        message = f"the value is not usable ({error['type']})"
    value = redacted(error["input"], secrets)
    if error["type"] == "missing":
        value = None
    elif not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, default=str)
    return EnvError(f"SOURCE_CONFIG, field {path}," if path else "SOURCE_CONFIG", value, message)


if __name__ == "__main__":
    sys.exit(main())

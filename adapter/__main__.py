"""``python -m adapter``: run the one source that the environment describes (see :mod:`adapter.contract.environment`).

Exit codes:

* 0 - stopped by SIGTERM or SIGINT
* 1 - the source's own code failed; the last log line says how
* 2 - the environment cannot be used; one line on stderr names the variable, its value and what to write
* 3 - HEALTH_PORT is taken
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from adapter.contract.environment import AdapterEnv, EnvError
from adapter.contract.timeouts import TIMEOUTS
from adapter.loading import load_source

if TYPE_CHECKING:
    from adapter.delivery.channel import Channel
    from adapter.delivery.delivery import Delivery
    from adapter.model.clock import Clock
    from adapter.runtime import Runtime

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

    from adapter.serving import logs

    log = logs.configure(env.namespace, env.name, env.logging_config)
    try:
        return asyncio.run(_run(env))
    except EnvError:
        raise
    except Exception as error:
        fields = {"error": f"{type(error).__name__}: {error}", "kind": env.kind, "at": logs.error_location(error)}
        log.error("the source failed", extra={"fields": fields})
        return SOURCE_FAILED


async def _run(env: AdapterEnv) -> int:
    import asyncio
    import logging
    from random import Random

    from adapter.delivery.delivery import Delivery
    from adapter.model.clock import SystemClock
    from adapter.observe.health import health
    from adapter.observe.metrics import CONTENT_TYPE, Metrics
    from adapter.runtime import Drain, Runtime, context_of
    from adapter.serving.messages import Response
    from adapter.serving.server import Limits, listen

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
        drain = Drain(TIMEOUTS.drain_s(policy.timeout_s), policy.timeout_s if dead_letters else 0.0, delivery.cut_short)
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
    from adapter.delivery.channel import Channel, Destination

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
        "DEAD_LETTER_CA_CERTS",
    )
    return Channel(sink, timeout_s, clock), Channel(dead_letters, timeout_s, clock)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m adapter``: run the source that the environment describes (see :mod:`adapter.contract.environment`).

Exit codes:

* 0 - stopped by SIGTERM or SIGINT
* 1 - an exception in the source's own code; the last log line has its message and location
* 2 - an invalid environment variable; one line on stderr has its name and what to write, and its value if
  that cannot be a secret
* 3 - HEALTH_PORT is in use
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from adapter.contract.declarations import EnvError
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import INTEGER_DIGITS
from adapter.loading import load_source, loaded_class

if TYPE_CHECKING:
    from asyncio import Runner
    from logging import Logger
    from types import FrameType

    from adapter.observe.blocked import LoopWatch
    from adapter.observe.metrics import Metrics
    from adapter.runtime.runtime import Runtime
    from adapter.serving.server import Server

SOURCE_FAILED, BAD_ENVIRONMENT, PORT_TAKEN = 1, 2, 3


class Signalled(SystemExit):
    """A signal came before the event loop handles signals."""


def main() -> int:
    sys.set_int_max_str_digits(INTEGER_DIGITS)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)  # a signal may come during the imports, which take a while
    try:
        env = AdapterEnv.from_environ(os.environ)
    except EnvError as error:
        return _refuse(error)
    return _start(env)


def _exit(*_: object) -> NoReturn:
    raise Signalled(0)


def _refuse(error: EnvError) -> int:
    print(" ".join(str(error).splitlines()), file=sys.stderr)
    return BAD_ENVIRONMENT


def _start(env: AdapterEnv) -> int:
    import asyncio

    from adapter.contract.timeouts import TIMEOUTS
    from adapter.runtime.exit import end_within
    from adapter.serving import logs

    log = logs.configure(env.namespace, env.name, env.logging_config, secrets=env.secret_texts())
    logs.log_interpreter_messages(log)
    watch = _loop_watch(env, log)
    with asyncio.Runner(loop_factory=watch.new_loop) as runner:
        code = _exit_code(runner, env, watch, log)
        end_within(TIMEOUTS.margin_s / 2, code)
        return code


def _exit_code(runner: Runner, env: AdapterEnv, watch: LoopWatch, log: Logger) -> int:
    from adapter.serving.failures import as_source, failure_fields

    async def run() -> int:
        try:
            return await _run(env, watch)
        except Signalled:
            return 0

    try:
        return runner.run(as_source(run()))
    except Signalled:
        return 0
    except EnvError as error:
        return _refuse(error)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # the last two: of a task that the source made
        failure = failure_fields(error, env.sources_package, env.secret_texts(), loaded_class(env))
        fields = {"error": failure["error"], "kind": env.kind, "at": failure["at"]}
        log.error("the source failed", extra={"fields": fields})
        return SOURCE_FAILED


def _loop_watch(env: AdapterEnv, log: Logger) -> LoopWatch:
    """Logs each place that blocks the event loop, once."""
    import traceback

    from adapter.observe.blocked import BLOCKED_S, LoopWatch
    from adapter.serving.failures import place

    places: set[str] = set()

    def report(frame: FrameType) -> None:
        stack = [*traceback.walk_stack(frame)][::-1]
        at = place(stack, env.sources_package) or place(stack)
        if at not in places:
            places.add(at)
            remedy = "call it in a thread: await asyncio.to_thread(...)"
            log.warning("the event loop is blocked", extra={"fields": {"at": at, "for_s": BLOCKED_S, "remedy": remedy}})

    return LoopWatch(report)


async def _run(env: AdapterEnv, watch: LoopWatch) -> int:
    import asyncio
    import logging

    from adapter.assemble import assemble
    from adapter.observe.metrics import Metrics

    source, log = load_source(env), logging.getLogger("adapter")
    metrics = Metrics(env.namespace, env.name, env.kind)
    async with contextlib.AsyncExitStack() as stack:
        runtime, sink = await assemble(env, source, metrics, stack)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, runtime.stop)
        try:
            server = await _serve_health(runtime, metrics, env.health_port)
        except OSError as error:
            print(f"HEALTH_PORT is {env.health_port}: {error.strerror}; write a free port", file=sys.stderr)
            return PORT_TAKEN
        fields = {"kind": env.kind, "sink": sink.destination.public_url, "source": env.source}
        if sink.proxy:
            fields["proxy"] = str(sink.proxy)
        log.info("started", extra={"fields": fields})
        watch.start()  # only now: the imports at the start may block the loop for long
        try:
            await runtime.run()
        finally:
            watch.stop()
            await server.close()
    log.info("stopped")
    return 0


async def _serve_health(runtime: Runtime, metrics: Metrics, port: int) -> Server:
    from adapter.contract.timeouts import TIMEOUTS
    from adapter.serving import health
    from adapter.serving.server import listen

    pages = health.health(lambda: runtime.unready_reason, lambda: health.metrics_page(metrics))
    return await listen(health.serve_pages(pages), port, health.limits(TIMEOUTS.request_head_s))


if __name__ == "__main__":
    sys.exit(main())

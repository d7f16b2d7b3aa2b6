"""``python -m adapter.pool``: run the sources that the hook names.

Exit codes: 0 - stopped by SIGTERM or SIGINT; 2 - an invalid environment variable, one line on stderr has its name;
3 - POOL_PORT or HEALTH_PORT is in use.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import traceback
from types import FrameType

from adapter.contract.declarations import EnvError
from adapter.contract.formats import INTEGER_DIGITS
from adapter.contract.timeouts import TIMEOUTS
from adapter.model.clock import SystemClock
from adapter.observe.blocked import BLOCKED_S, LoopWatch
from adapter.pool.api import Api, check_token, limits, refused
from adapter.pool.groups import Groups
from adapter.pool.metrics import PoolMetrics
from adapter.pool.pool import Pool
from adapter.pool.settings import PoolEnv, SourceEnvs
from adapter.runtime.exit import end_within
from adapter.serving import health, logs
from adapter.serving.failures import place
from adapter.serving.server import Server, listen

BAD_ENVIRONMENT, PORT_TAKEN = 2, 3


def main() -> int:
    sys.set_int_max_str_digits(INTEGER_DIGITS)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))  # until the event loop handles signals
    try:
        env = PoolEnv.from_environ(os.environ)
        process = Process(env)
        with asyncio.Runner(loop_factory=process.watch.new_loop) as runner:
            code = runner.run(process.run())
            end_within(TIMEOUTS.margin_s / 2, code)
            return code
    except EnvError as error:
        print(" ".join(str(error).splitlines()), file=sys.stderr)
        return BAD_ENVIRONMENT


class Process:
    """The ports, the signals and the watch of the event loop."""

    def __init__(self, env: PoolEnv) -> None:
        self._env = env
        self._log = logs.configure(env.namespace, env.name, env.logging_config)
        logs.log_interpreter_messages(self._log)
        self._check = check_token(env.token_file)
        self._pool: Pool | None = None
        self.watch = LoopWatch(self._report)

    async def run(self) -> int:
        clock, stopping = SystemClock(), asyncio.Event()
        self._pool = pool = Pool(SourceEnvs(os.environ), Groups(self._log, clock), clock, self._log, _settle)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        servers: list[Server] = []
        try:
            await self._listen(pool, servers)
        except OSError as error:
            variable, port = list(self._ports())[len(servers)]
            print(f"{variable} is {port}: {error.strerror}; write a free port", file=sys.stderr)
            return PORT_TAKEN
        self._log.info("started", extra={"fields": {"port": servers[1].port, "health_port": servers[0].port}})
        self.watch.start()
        await stopping.wait()
        pool.stop()
        await servers[1].close()
        await pool.drain()
        self.watch.stop()
        await servers[0].close()
        self._log.info("stopped")
        return 0

    def _ports(self) -> list[tuple[str, int]]:
        return [("HEALTH_PORT", self._env.health_port), ("POOL_PORT", self._env.port)]

    async def _listen(self, pool: Pool, servers: list[Server]) -> None:
        metrics = PoolMetrics(pool, self._env.namespace, self._env.name)
        pages = health.health(lambda: pool.unready_reason, lambda: health.metrics_page(metrics))
        page_limits = health.limits(TIMEOUTS.request_head_s)
        servers.append(await listen(health.serve_pages(pages), self._env.health_port, page_limits))
        api_limits = limits(TIMEOUTS.request_body_s, TIMEOUTS.keep_alive_s)
        servers.append(
            await listen(Api(pool).handle, self._env.port, api_limits, check_head=self._check, refused=refused)
        )

    def _report(self, frame: FrameType) -> None:
        """Called while a tick blocks the event loop. The name of its task is the uid of the source."""
        stack = [*traceback.walk_stack(frame)][::-1]
        at = place(stack, self._env.sources_package) or place(stack)
        task = asyncio.current_task()
        source = self._pool.source(task.get_name()) if self._pool and task else None
        remedy = "call it in a thread: await asyncio.to_thread(...)"
        fields = {"at": at, "for_s": BLOCKED_S, "remedy": remedy}
        if source is None:
            self._log.warning("the event loop is blocked", extra={"fields": fields})
        elif not source.blocked:
            source.blocked = f"its tick blocked the event loop of all sources at {at}; {remedy}"
            fields |= {"source": source.context.source, "kind": source.group.kind}
            self._log.warning("the tick of a source blocks the event loop", extra={"fields": fields})


def _settle() -> None:
    """Leave the objects of all sources out of later garbage collections, each of which would stop the loop for 0.1 s.

    Nothing leaks: the objects of a source that ends are in no cycle, so they are freed at once.
    """
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    sys.exit(main())

"""``python -m adapter.display``: a sink that checks and prints every CloudEvent. Options make it fail, for tests.

It listens on --host (default: all addresses) and on --port, else PORT, else 8080 (0: a free port). It prints the port
to stderr, and answers ``GET /healthz``. A request that is not a CloudEvent gets 400 with the reason. Exit codes: 0
after SIGTERM or SIGINT, 2 for a wrong argument or a port that is in use.
"""

from __future__ import annotations

import signal
import sys

if __name__ == "__main__":  # before the imports that take a while: without a handler, Python prints a traceback
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))

import argparse
import asyncio
import io
from collections.abc import Sequence

from adapter.contract.formats import INTEGER_DIGITS
from adapter.display.options import parse_arguments
from adapter.display.sink import Display
from adapter.serving.limits import SINK_LIMITS
from adapter.serving.server import listen


async def _serve(options: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        server = await listen(Display(options).answer, options.port, SINK_LIMITS, host=options.host)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on port {options.port}: {getattr(error, 'strerror', error)}", file=sys.stderr)
        return 2
    print(f"listening on port {server.port}", file=sys.stderr, flush=True)
    await stop.wait()
    await server.close()
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    sys.set_int_max_str_digits(INTEGER_DIGITS)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not know every character of an event
    return asyncio.run(_serve(parse_arguments(arguments)))


if __name__ == "__main__":
    sys.exit(main())

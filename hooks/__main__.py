"""``python -m hooks``: reads the settings and serves the hook with uvicorn.

Exit codes: 0 stopped by a signal, 2 a setting is missing or invalid, 3 HOST and PORT cannot be bound.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

log = logging.getLogger("hooks")


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)  # uvicorn sends the signal again after its shutdown
    # After the handlers: these imports take most of the start, and a signal must not end them with a traceback.
    import uvicorn

    from adapter.contract.declarations import EnvError
    from adapter.serving.logs import JsonLines, install, log_interpreter_messages
    from adapter.serving.sockets import listening_socket
    from hooks import server
    from hooks.app import create_app, new_throttle
    from hooks.settings import read_settings

    try:
        settings = read_settings(os.environ, _resolv_conf())
    except EnvError as error:
        print(error, file=sys.stderr)
        return 2
    install(log, JsonLines({}))
    log_interpreter_messages(log)
    log.setLevel(settings.log_level.upper())
    try:
        listening = listening_socket(settings.host, settings.port, backlog=2048)
    except OSError as error:
        print(f"cannot listen on HOST {settings.host}, PORT {settings.port}: {error.strerror}", file=sys.stderr)
        return 3
    throttle = new_throttle()
    app, limits = create_app(settings, throttle), server.limits(settings.max_body_bytes)
    config = server.config(app, limits, throttle, log_level=settings.log_level)
    config.load()
    log.info("listening", extra={"fields": {"host": settings.host, "port": listening.getsockname()[1]}})
    # The objects created so far live as long as the process. freeze() excludes them from garbage collection, which
    # would delay requests.
    gc.collect()
    gc.freeze()
    with throttle:  # writes the lines that are held at the end
        uvicorn.Server(config).run(sockets=[listening])
    return 0


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


def _resolv_conf() -> str:
    try:
        return Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())

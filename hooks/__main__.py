"""``python -m hooks``: reads the settings and serves the hook with uvicorn.

Exit codes: 0 stopped by a signal, 2 a setting is missing or invalid, 3 a port of HOST cannot be bound.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from hooks.serving.credentials import Credentials
    from hooks.settings import Settings

log = logging.getLogger("hooks")


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit)  # uvicorn sends the signal again after its shutdown
    # After the handlers: these imports take most of the start, and a signal must not end them with a traceback.
    from adapter.contract.declarations import EnvError
    from adapter.serving.logs import JsonLines, install, log_interpreter_messages
    from hooks.serving.credentials import Credentials
    from hooks.settings import read_settings

    try:
        settings = read_settings(os.environ, _resolv_conf())
        credentials = Credentials(settings)
    except EnvError as error:
        print(error, file=sys.stderr)
        return 2
    install(log, JsonLines({}))
    log_interpreter_messages(log)
    log.setLevel(settings.log_level.upper())
    ports = [_listening(settings.host, name, port) for name, port in settings.ports.items()]
    _serve(settings, credentials, *ports)
    return 0


def _listening(host: str, name: str, port: int) -> socket.socket:
    from adapter.serving.sockets import listening_socket

    try:
        return listening_socket(host, port, backlog=2048)
    except OSError as error:
        print(f"cannot listen on HOST {host}, {name} {port}: {error.strerror}", file=sys.stderr)
        raise SystemExit(3) from None


def _serve(settings: Settings, credentials: Credentials, listening: socket.socket, health: socket.socket) -> None:
    """Serve until a signal arrives."""
    from hooks.app import create_app, new_throttle
    from hooks.configmaps import MountedConfig
    from hooks.serving.health import pages
    from hooks.serving.metrics import HookMetrics
    from hooks.serving.refusals import Refusals
    from hooks.serving.server import limits, make_server, serve

    throttle, mounted, limited = new_throttle(), MountedConfig(settings.config_dir), limits(settings)

    def problems() -> list[str]:
        return [*mounted.problems.values(), *credentials.problems()]

    metrics, app = HookMetrics(problems), create_app(settings, throttle, mounted)
    refusals = Refusals(throttle, limited.body_size, metrics)
    server = make_server(app, limited, refusals, credentials, log_level=settings.log_level)
    fields = {"host": settings.host, "port": _port(listening), "health_port": _port(health)}
    log.info("listening", extra={"fields": fields})
    # The objects created so far live as long as the process. freeze() excludes them from garbage collection, which
    # would delay requests.
    gc.collect()
    gc.freeze()
    with throttle:  # writes the lines that are held at the end
        asyncio.run(serve(server, listening, pages(problems, metrics), health))


def _port(listening: socket.socket) -> int:
    return int(listening.getsockname()[1])


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


def _resolv_conf() -> str:
    try:
        return Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(main())

"""A process whose DNS servers never answer. Needs root: it gets an ``/etc/resolv.conf`` of its own.

``python -m tests.process.silent_dns RESOLV_CONF MODULE ARGUMENT...`` mounts the file and becomes ``python -m MODULE``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.process.harness import DEADLINE_S, Process, Start

SERVERS = tuple(f"127.{os.getpid() >> 8 & 255}.{os.getpid() & 255}.{n}" for n in (1, 2, 3))  # no other test has them
MOUNT = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


def in_own_mounts(resolv_conf: str, *command: str) -> list[str]:
    return ["unshare", "--mount", "sh", "-c", MOUNT, resolv_conf, *command]


@dataclass(frozen=True)
class SilentDns:
    """``start`` starts a process with these servers."""

    start: Start
    server: socket.socket  # the first of them

    def wait_for_query(self) -> None:
        self.server.settimeout(DEADLINE_S)
        self.server.recv(512)


@contextmanager
def silent_dns(start: Start, directory: Path) -> Iterator[SilentDns]:
    """Skips the test if there cannot be such servers here."""
    resolv_conf = directory / "resolv.conf"
    resolv_conf.write_text("".join(f"nameserver {server}\n" for server in SERVERS))
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in SERVERS]
        try:
            subprocess.run(in_own_mounts(str(resolv_conf), "true"), check=True, capture_output=True, text=True)
            for server, address in zip(sockets, SERVERS, strict=True):
                server.bind((address, 53))
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no DNS server of its own for a process here: {error}")

        def start_inside(*arguments: str, **environ: str) -> Process:
            return start("tests.process.silent_dns", str(resolv_conf), *arguments, **environ)

        yield SilentDns(start_inside, sockets[0])


if __name__ == "__main__":
    os.execvp("unshare", in_own_mounts(sys.argv[1], sys.executable, "-m", *sys.argv[2:]))

"""A port under attack: connections that send what hurts, and what the server does with them."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence

from tests.process.cgroup import Group
from tests.process.harness import DEADLINE_S, cpu_s, wait_until

LONG = bool(os.environ.get("LONG"))
TIMES = 4 if LONG else 1
SPARE = 0.8
SEND_BUFFER = 256 * 1024  # a larger one seems to be full while the server reads slowly
BLOCKED_S = 2.0  # a server that is idle for so long reads no more
PROBE_S = 5.0  # how long the kubelet waits for the answer
_STATUS = re.compile(rb"HTTP/1\.1 (\d+) ")


class Attack:
    """Connections that have sent their octets, as far as the server read them. They read nothing unless asked."""

    def __init__(self, connections: Sequence[socket.socket]) -> None:
        self._open = list(connections)
        self._tails = dict.fromkeys(connections, b"")  # less than a status line
        self._statuses: dict[socket.socket, int] = {}

    def open(self) -> int:
        """How many connections the server has not closed."""
        for each in tuple(self._open):
            try:
                while part := each.recv(1 << 20, socket.MSG_DONTWAIT):
                    received = self._tails[each] + part
                    self._tails[each] = received[-len("HTTP/1.1 200") :]
                    for status in _STATUS.findall(received):
                        self._statuses[each] = int(status)
                self._open.remove(each)
            except BlockingIOError:
                pass
            except ConnectionError:
                self._open.remove(each)
        return len(self._open)

    def statuses(self) -> list[int]:
        """The status of the last response of each connection that got one."""
        self.open()
        return list(self._statuses.values())


Check = Callable[[Attack], None]


def at_most(connections: int) -> Check:
    """So many are open. This does not wait: after some seconds, the time limits close them, too."""

    def check(attack: Attack) -> None:
        assert attack.open() <= connections

    return check


def some(status: int) -> Check:
    """This status is the last response of a connection."""
    return lambda attack: wait_until(lambda: status in attack.statuses(), f"a {status}", attack.statuses)


class Port:
    """``probe_url``: the page that the kubelet probes."""

    def __init__(self, port: int, probe_url: str, group: Group, limit_mib: int) -> None:
        self.port = port
        self._probe_url, self._group, self._limit_mib = probe_url, group, limit_mib

    @contextlib.contextmanager
    def attack(self, count: int, octets: bytes) -> Iterator[Attack]:
        address = ("127.0.0.1", self.port)
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(socket.create_connection(address, DEADLINE_S)) for _ in range(count)]
            self._send(connections, octets)
            yield Attack(connections)

    def post(self, body: bytes, path: str = "/sync") -> int:
        """The status of the response."""
        head = b"POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        with self.attack(1, head % (path.encode(), len(body)) + body) as attack:
            (status,) = wait_until(attack.statuses, "a response")
        return int(status)

    def assert_alive(self) -> None:
        """The probe succeeds as fast as the kubelet wants it, and there is memory to spare.

        Time in which the server or this test waited for a CPU does not count.
        """
        began, waited_s = time.monotonic(), self._waited_s()
        with urllib.request.urlopen(self._probe_url, timeout=DEADLINE_S) as response:
            assert response.status == 200
        assert time.monotonic() - began - (self._waited_s() - waited_s) < PROBE_S
        assert self._group.killed() == 0
        assert self._group.peak_mib() <= SPARE * self._limit_mib

    def _busy_s(self) -> float:
        """How long the server has had a CPU or waited for one."""
        return sum(sum(cpu_s(pid)) for pid in self._group.pids())

    def _waited_s(self) -> float:
        """How long the server and this thread have waited for a CPU."""
        return sum(cpu_s(task)[1] for task in (*self._group.pids(), "thread-self"))

    def _send(self, connections: Sequence[socket.socket], octets: bytes) -> None:
        """Until the server has read all, has closed the connection, or reads no more although it is idle."""
        left = dict.fromkeys(connections, memoryview(octets))
        with selectors.DefaultSelector() as selector:
            for connection in connections:
                connection.setblocking(False)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
                selector.register(connection, selectors.EVENT_WRITE)
            while selector.get_map():
                busy_s = self._busy_s()
                ready = selector.select(BLOCKED_S)
                if not ready and self._busy_s() - busy_s < BLOCKED_S / 2:
                    return
                for key, _ in ready:
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    try:
                        left[connection] = left[connection][connection.send(left[connection]) :]
                    except BlockingIOError:
                        continue
                    except OSError:
                        left[connection] = memoryview(b"")
                    if not left[connection]:
                        selector.unregister(connection)

"""A pool in memory that keeps the contract of ``/run`` and ``/keep``: it makes no events."""

from __future__ import annotations

import json
from typing import Any

import httpx2

Environ = dict[str, str]


class FakePool:
    """``refuses``: uid -> why it does not run. ``down``: nobody answers."""

    def __init__(self) -> None:
        self.running: dict[str, Environ] = {}
        self.known: set[str] = set()
        self.refuses: dict[str, str] = {}
        self.filled = self.again = self.down = False
        self.requests: list[tuple[str, Any]] = []

    def restart(self) -> None:
        self.running, self.known, self.filled = {}, set(), False

    def transport(self) -> httpx2.AsyncBaseTransport:
        return httpx2.MockTransport(self._handle)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        if self.down:
            raise httpx2.ConnectError("refused", request=request)
        body = json.loads(request.content)
        path = request.url.path
        self.requests.append((path, body))
        answer = self.run(**body) if path == "/run" else self.keep(**body)
        return httpx2.Response(200, json=answer)

    def run(self, sources: dict[str, Environ | None], absentOnly: bool) -> dict[str, Any]:
        for uid, environ in sources.items():
            self.known.add(uid)
            if absentOnly and uid in self.running:
                continue
            if environ is None:
                self.running.pop(uid, None)
            else:
                self.running[uid] = environ
        return {"sources": {uid: self._text(uid, environ) for uid, environ in sources.items()}}

    def _text(self, uid: str, environ: Environ | None) -> str:
        if environ is None:
            return ""
        return self.refuses.get(uid, "" if self.running[uid] == environ else "another environment runs")

    def keep(self, uids: list[str], filled: bool) -> dict[str, Any]:
        self.running = {uid: environ for uid, environ in self.running.items() if uid in uids}
        self.known &= set(uids)
        self.filled = self.filled or filled
        return {
            "missing": [uid for uid in uids if uid not in self.known],
            "again": self.again,
            "filled": self.filled,
            "troubled": dict(sorted(self.refuses.items())),
        }

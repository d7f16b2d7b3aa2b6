"""The pages of a running adapter's health port: liveness, readiness, metrics."""

from __future__ import annotations

from collections.abc import Callable

from adapter.serving.messages import Request, Response
from adapter.serving.server import Handler


def _readiness(reason: str | None) -> Response:
    return Response(200, b"ok\n") if reason is None else Response(503, f"{reason}\n".encode())


def health(unready: Callable[[], str | None], metrics: Callable[[], Response]) -> Handler:
    """``/health`` while the process lives, ``/readiness`` while ``unready`` gives no reason, ``/metrics``.

    ``/healthz`` and ``/readyz`` are the same two pages by the names Kubernetes' own components use.
    """

    def alive() -> Response:
        return Response(200, b"ok\n")

    def ready() -> Response:
        return _readiness(unready())

    pages: dict[str, Callable[[], Response]] = {
        "/health": alive,
        "/readiness": ready,
        "/metrics": metrics,
        "/healthz": alive,
        "/readyz": ready,
    }

    async def answer(request: Request) -> Response:
        page = pages.get(request.path)
        if page is None:
            return Response(404, f"there are {', '.join(pages)}\n".encode())
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"only GET\n", {"Allow": "GET, HEAD"})
        return page()

    return answer

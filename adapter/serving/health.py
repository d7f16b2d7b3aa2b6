"""The pages of the health port: liveness, readiness and metrics."""

from __future__ import annotations

from collections.abc import Callable

from adapter.serving.limits import Handler
from adapter.serving.messages import Request, Response


def health(unready_reason: Callable[[], str | None], metrics: Callable[[], Response]) -> Handler:
    """``/health`` answers 200, ``/readiness`` 200 or 503 with the reason, ``/metrics`` the metrics.

    ``/healthz`` and ``/readyz`` are the same pages under the names that Kubernetes' own components use.
    """

    def live() -> Response:
        return Response(200, b"ok\n")

    def ready() -> Response:
        reason = unready_reason()
        return live() if reason is None else Response(503, f"{reason}\n".encode())

    pages: dict[str, Callable[[], Response]] = {
        "/health": live,
        "/readiness": ready,
        "/metrics": metrics,
        "/healthz": live,
        "/readyz": ready,
    }

    async def handle(request: Request) -> Response:
        page = pages.get(request.path)
        if page is None:
            return Response(404, f"the pages are {', '.join(pages)}\n".encode())
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"the method must be GET\n", {"Allow": "GET, HEAD"})
        return page()

    return handle

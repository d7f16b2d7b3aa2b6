"""The health port: a few pages that answer GET, and its limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from adapter.serving.limits import Handler, Limits
from adapter.serving.messages import Request, Response

Page = Callable[[], Response]


def health(unready_reason: Callable[[], str | None], metrics: Page) -> dict[str, Page]:
    """``/health`` answers 200, ``/readiness`` 200 or 503 with the reason, ``/metrics`` the metrics.

    ``/healthz`` and ``/readyz`` are the same pages under the names that Kubernetes' own components use.
    """

    def live() -> Response:
        return Response(200, b"ok\n")

    def ready() -> Response:
        reason = unready_reason()
        return live() if reason is None else Response(503, f"{reason}\n".encode())

    return {
        "/health": live,
        "/readiness": ready,
        "/metrics": metrics,
        "/healthz": live,
        "/readyz": ready,
    }


def serve_pages(pages: Mapping[str, Page]) -> Handler:
    """Answers GET and HEAD. Another path is 404 and lists the pages; another method is 405."""

    async def handle(request: Request) -> Response:
        page = pages.get(request.path)
        if page is None:
            return Response(404, f"the pages are {', '.join(pages)}\n".encode())
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"the method must be GET\n", {"Allow": "GET, HEAD"})
        return page()

    return handle


def limits(probe_s: float) -> Limits:
    """``probe_s``: seconds for a head, for a body, and for an idle connection."""
    return Limits(
        head_s=probe_s,
        body_s=probe_s,
        keep_alive_s=probe_s,
        head_size=16 * 1024,
        body_size=16 * 1024,
        total_size=4 * 1024 * 1024,  # so that the other port of the process may use the rest
        connections=64,
    )

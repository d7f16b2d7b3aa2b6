"""The pages of HEALTH_PORT. The port is plain http and needs no credentials, so no page shows a secret or a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pydantic_core import to_json

from adapter.serving.health import Page, metrics_page
from adapter.serving.messages import Response
from hooks.serving.metrics import HookMetrics


def pages(problems: Callable[[], Iterable[str]], metrics: HookMetrics) -> dict[str, Page]:
    """Path -> page. ``problems``: one message for each file of the configuration that is invalid now.

    ``/healthz`` answers 200 even with problems: the hook works with the last valid content, so a restart is no remedy.
    """

    def healthz() -> Response:
        body = {"status": "ok", "problems": sorted(problems())}
        return Response(200, to_json(body), {"Content-Type": "application/json"})

    return {"/healthz": healthz, "/metrics": lambda: metrics_page(metrics)}

"""The page that shows events, at ``/``: its files, and the stream ``/events``. Only the page itself may read them.

Any site that a developer visits can send requests to 127.0.0.1. A browser says where a request comes from
(``Sec-Fetch-Site``, ``Origin``), and which name the user typed (``Host``). A site whose name resolves to 127.0.0.1 (DNS
rebinding) has a foreign name there.
"""

from __future__ import annotations

import ipaddress
import re
from functools import cache
from importlib.resources import files

from adapter.display.feed import Feed
from adapter.display.viewer import Viewer
from adapter.serving.messages import Request, Response, Stream

VIEWERS = 16  # open pages
TAKEN_WITHIN_S = 30.0  # a page that reads nothing for so long is dropped; it connects again
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/json.js": ("json.js", "text/javascript; charset=utf-8"),
    "/plot.js": ("plot.js", "text/javascript; charset=utf-8"),
    "/table.js": ("table.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_EVENT_ID = re.compile(r"([0-9a-f]{8})-([0-9]{1,15})", re.ASCII)


class Page:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def respond(self, request: Request) -> Response | Stream:
        """The response to GET or HEAD."""
        if request.path not in FILES and request.path != "/events":
            return _text(404, "the page with the events is /")
        if reason := refusal(request):
            return _text(403, reason)
        if request.path == "/events":
            return self._events(request)
        name, content_type = FILES[request.path]
        return Response(200, _file(name), {"Content-Type": content_type, **HEADERS})

    def _events(self, request: Request) -> Response | Stream:
        if len(self._feed.watching) >= VIEWERS:
            return _text(503, f"{VIEWERS} pages are open; close one", {"Retry-After": "5"})
        seen = _EVENT_ID.fullmatch(request.headers.get("last-event-id", ""))
        after = int(seen[2]) if seen and seen[1] == self._feed.session else 0
        headers = {"Content-Type": "text/event-stream", **HEADERS}
        return Stream(Viewer(self._feed, after).parts(), headers, TAKEN_WITHIN_S)


def refusal(request: Request) -> str | None:
    """Why a browser must not show the response; None if it may. Programs that are no browsers send only ``Host``."""
    headers = request.headers
    host = headers.get("host", "")
    if not _is_local(host):
        return "open the page by an IP address or as localhost, for example with kubectl port-forward"
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        return "another site must not read the events"
    site, is_link = headers.get("sec-fetch-site", "none"), headers.get("sec-fetch-dest") == "document"
    if site not in ("same-origin", "none") and not (is_link and request.path == "/"):
        return "another site must not read the events"
    return None


def _is_local(host: str) -> bool:
    """Whether a ``Host`` header names an IP address or localhost. No site can have such a name."""
    name = re.sub(r":[0-9]*$", "", host).lower()
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@cache
def _file(name: str) -> bytes:
    return (files("adapter.display") / "static" / name).read_bytes()


def _text(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return Response(
        status, f"{reason}\n".encode(), {"Content-Type": "text/plain; charset=utf-8", **HEADERS, **(headers or {})}
    )

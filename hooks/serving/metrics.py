"""The metrics of the hook: requests on PORT by path and status, their durations, and refusals by reason.

No label comes from a request: an unknown path is counted as ``other``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sized
from typing import TYPE_CHECKING

from adapter.serving.health import Durations, counter, gauge, histogram

if TYPE_CHECKING:
    from prometheus_client.core import Metric

PATHS = ("/sync", "/customize", "/openapi.json", "/pool/sync", "/pool/customize")
OTHER = "other"  # also a request that is refused before it is read
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REASONS = {  # status of a refused request -> why
    400: "malformed",
    401: "token",
    403: "client_certificate",
    404: "no_such_path",
    405: "no_such_path",
    408: "slow",
    413: "too_large",
    422: "sync_rejected",
    431: "head_too_large",
    501: "malformed",
    503: "busy",
}
TLS = "tls"  # the reason of a failed handshake


class HookMetrics:
    """``problems``: the problems of the configuration that exist now, such as an invalid ConfigMap.

    The series of the paths that Metacontroller calls start at zero, so that a rate over them is always defined.
    """

    def __init__(self, problems: Callable[[], Sized]) -> None:
        self.failed_handshakes = 0  # of TLS
        self._problems = problems
        self._requests = Counter(dict.fromkeys(((path, code) for path in PATHS[:2] for code in (200, 500)), 0))
        self._durations = {path: Durations(BUCKETS_S) for path in PATHS}

    def count(self, path: str, status: int, seconds: float) -> None:
        """One request that was read as a whole."""
        if durations := self._durations.get(path):
            durations.add(seconds)
            self._requests[path, status] += 1
        else:
            self.count_unread(status)

    def count_unread(self, status: int) -> None:
        """One request that was refused before it was read as a whole."""
        self._requests[OTHER, status] += 1

    def collect(self) -> Iterator[Metric]:
        requests = (((path, str(status)), count) for (path, status), count in self._requests.items())
        yield counter("sources_hook_requests", "Requests by path and status code", ["path", "code"], requests)
        durations = (((path,), each) for path, each in self._durations.items())
        yield histogram("sources_hook_request_duration_seconds", "Time of one request", ["path"], durations)
        refused = (((reason,), count) for reason, count in self.refused().items())
        yield counter("sources_hook_refused", "Refused requests and connections by reason", ["reason"], refused)
        problems = "Files of the configuration that are invalid now"
        yield gauge("sources_hook_config_problems", problems, [], (), len(self._problems()))

    def refused(self) -> Counter[str]:
        refused = Counter({**dict.fromkeys(REASONS.values(), 0), TLS: self.failed_handshakes})
        for (_, status), count in self._requests.items():
            if status in REASONS:
                refused[REASONS[status]] += count
        return refused

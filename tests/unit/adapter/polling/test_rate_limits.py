"""A poll waits as long as the upstream asks."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from adapter.contract.durations import Interval
from adapter.polling.rate_limits import status_failure
from adapter.sources.poll_source import PollSource
from adapter.testing.clock import START
from tests.unit.adapter.polling.polled import URL, ok
from tests.unit.adapter.polling.polling_run import MINUTE, Run

EPOCH_S = round(START.timestamp())
USED_UP = {"X-RateLimit-Remaining": "0"}


def waited_s(headers: dict[str, str], status: int = 429) -> float:
    return status_failure(httpx2.Response(status, headers=headers), START).retry_after_s


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({**USED_UP, "X-RateLimit-Reset": "90"}, 90, id="seconds"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": str(EPOCH_S + 90)}, 90, id="epoch"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": str((EPOCH_S + 90) * 1000)}, 90, id="epoch-in-milliseconds"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": f"{EPOCH_S + 90}.0"}, 90, id="fraction"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": str(EPOCH_S - 90)}, 0, id="past"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": str(EPOCH_S + 90_000)}, 3600, id="ceiling"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": "soon"}, 0, id="invalid"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": "9" * 5000}, 0, id="long"),
        pytest.param(USED_UP, 0, id="no-reset"),
        pytest.param({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "90"}, 0, id="requests-left"),
        pytest.param({"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "90"}, 90, id="x-rate-limit"),
        pytest.param({"RateLimit-Remaining": "0", "RateLimit-Reset": "90"}, 90, id="draft-3"),
        pytest.param({"RateLimit": "limit=100, remaining=0, reset=90"}, 90, id="draft-7"),
        pytest.param({"RateLimit": '"hour";r=0;t=90, "day";r=9;t=900'}, 90, id="draft-8"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": "90", "Retry-After": "120"}, 120, id="longer-retry-after"),
        pytest.param({**USED_UP, "X-RateLimit-Reset": "90", "Retry-After": "1"}, 90, id="shorter-retry-after"),
    ],
)
def test_rate_limit_that_is_used_up_delays_the_next_poll(headers: dict[str, str], seconds: float) -> None:
    assert {waited_s(headers, status) for status in (403, 429, 503)} == {seconds}


def test_rate_limit_of_another_error_is_ignored() -> None:
    assert waited_s({**USED_UP, "X-RateLimit-Reset": "90"}, 404) == 0


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 600), (0.5, 630), (1.0, 660)])
def test_wait_gets_up_to_a_tenth_of_jitter(jitter: float, seconds: float) -> None:
    """Many clients wait for the same reset."""
    responses = [httpx2.Response(429, headers={**USED_UP, "X-RateLimit-Reset": "600"})]
    run = polls(responses, PollSource(url=URL, interval=Interval("1s")), jitter)
    assert START + timedelta(seconds=seconds) <= run.clock.sleeps[0] <= START + timedelta(seconds=seconds + 1)


def polls(responses: list[httpx2.Response], source: PollSource, jitter: float = 0.0) -> Run:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if not responses:
            raise KeyboardInterrupt
        return responses.pop(0)

    run = Run(source, handler=answer, jitter=jitter)
    run.ids()
    return run


@pytest.mark.parametrize(
    ("asked", "ticks"),
    [("60", 1), ("61", 2), ("300", 5), ("7200", 60), ("1", 1), ("-5", 1), ("x", 1), ("nan", 1)],
)
def test_x_poll_interval_is_the_shortest_time_between_polls_up_to_one_hour(asked: str, ticks: int) -> None:
    headers = {"X-Poll-Interval": asked}
    conditional = {"If-None-Match": '"1"'}
    responses = [ok([]), httpx2.Response(304, headers=headers), ok([], **{"X_Poll_Interval": asked})]
    run = polls(responses, PollSource(url=URL, interval=Interval("1m"), headers=conditional))
    first = MINUTE.next_at(run.clock.sleeps[0])
    assert [MINUTE.next_at(at) - first for at in run.clock.sleeps] == [0, ticks, 2 * ticks]

"""The fixture ``receive``: it serves what the adapter serves, and checks what the adapter checks."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapter.sdk import Event, Field, Listener, Refusal, Reply, Request, Timer
from adapter.testing import Deliver, Receive, Run, Sink, VirtualClock
from adapter.testing.clock import START
from tests.deadline import DEADLINE_S


class CalledSource(Listener):
    """Receives requests."""

    methods = ("PUT", "POST")
    path: str = Field("/hook", description="Path.")

    async def receive(self, request: Request) -> Event:
        subject = f"{request.method} {request.path}?{request.query}"
        return Event(type=request.headers["x-type"], subject=subject, data=request.body, time=request.received)


class ReturningSource(Listener):
    """Returns what a test wants."""

    result: Any = Field(None, description="What to return.")

    async def receive(self, request: Request) -> Any:
        return self.result


def test_request_has_the_path_and_the_method_of_the_source(receive: Receive) -> None:
    event = receive(CalledSource(), {"a": 1}, headers={"X-Type": "t"}, query="a=b")
    assert event == Event(type="t", subject="PUT /hook?a=b", data=b'{"a": 1}', time=START)
    event = receive(CalledSource(path="/door"), "x", headers={"X-Type": "t"}, method="POST", path="/door")
    assert event.subject == "POST /door?"


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        ({"path": "/door"}, 404, "this source listens on the path /hook"),
        ({"method": "GET"}, 405, "the method must be PUT, POST"),
    ],
    ids=["path", "method"],
)
def test_request_that_an_adapter_does_not_serve_is_refused(
    receive: Receive, request_: dict[str, str], status: int, sentence: str
) -> None:
    with pytest.raises(Refusal, match=sentence) as caught:
        receive(CalledSource(), headers={"X-Type": "t"}, **request_)
    assert caught.value.status == status


def test_clock_sets_the_time_of_the_request(receive: Receive) -> None:
    clock = VirtualClock(START + timedelta(days=1))
    assert receive(CalledSource(), headers={"X-Type": "t"}, clock=clock).time == clock.now()


@pytest.mark.parametrize(
    "result",
    [None, Reply(200, {"challenge": "x"}), [], [Event("t", id="1"), Event("t", id="2")], Event("t")],
    ids=["none", "reply", "empty", "list", "event"],
)
def test_result_is_returned_unchanged(receive: Receive, result: Any) -> None:
    assert receive(ReturningSource(result=result)) == result


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ("text", "receive() of ReturningSource returned str; return an Event, a list of Events, a Reply or None"),
        ([Event("t")], "returned a list with an Event without id"),
        ([Event("t", id="1"), Event("", id="2")], 'an event of ReturningSource is invalid: type is "";'),
    ],
    ids=["text", "id", "invalid"],
)
def test_result_that_an_adapter_does_not_send_fails_the_test(receive: Receive, result: Any, sentence: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(sentence)):
        receive(ReturningSource(result=result))


def test_only_a_listener_receives_requests(receive: Receive) -> None:
    with pytest.raises(AssertionError, match="Timer is not a Listener"):
        receive(Timer())  # type: ignore[arg-type]  # on purpose


def test_fixtures_that_pull_events_refuse_a_listener(run: Run, deliver: Deliver, sink: Sink) -> None:
    for use in (lambda: run(CalledSource()), lambda: deliver(CalledSource(), sink)):
        with pytest.raises(AssertionError, match=r"^CalledSource is a Listener.*; use the fixture receive$"):
            use()


def test_receive_without_async_works(receive: Receive) -> None:
    class PlainSource(Listener):
        """Forgets async."""

        def receive(self, request: Request) -> Event:  # type: ignore[override]  # on purpose
            return Event("t")

    assert receive(PlainSource()) == Event("t")  # type: ignore[arg-type]  # on purpose


FAILING = '''
from adapter.sdk import Event, Source

class BadSource(Source):
    """Makes an invalid event."""

    async def events(self, context):
        yield Event("")

def test_bad(run):
    run(BadSource(), 1)
'''


def test_failure_shows_the_line_of_the_test_and_no_line_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "test_bad.py").write_text(FAILING)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_bad.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert "test_bad.py:11: AssertionError" in done.stdout, done.stdout
    assert not re.search(r"(harness|base_events|runners)\.py:\d+", done.stdout), done.stdout

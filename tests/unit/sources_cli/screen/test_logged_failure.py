"""Which lines of an adapter's log ``sources run`` shows."""

from __future__ import annotations

import json

from sources_cli.screen.plain import logged_failure


def test_blocking_code_is_shown_with_its_place_and_the_remedy() -> None:
    line = {"level": "warn", "name": "hello", "msg": "the event loop is blocked", "at": "a_source.py:9", "for_s": 1.0}
    remedy = "call it in a thread: await asyncio.to_thread(...)"
    shown = logged_failure(json.dumps({**line, "remedy": remedy}))
    assert shown == f"hello: the event loop is blocked at a_source.py:9; {remedy}"


def test_refused_event_is_shown_with_the_response_of_the_sink() -> None:
    line = {"level": "error", "name": "hello", "msg": "event lost", "event_id": "1", "reason": "answered 403: no quota"}
    assert logged_failure(json.dumps(line)) == "hello: event lost: answered 403: no quota"

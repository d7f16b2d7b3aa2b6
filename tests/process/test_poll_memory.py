"""A poller with the memory of its pod gets hostile responses. The poll succeeds, or fails with one sentence."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.process.cgroup import memory_limit
from tests.process.harness import Start, display, wait_until
from tests.process.polls import own_kind, poller, polls
from tests.process.upstream import Answer, Upstream

MIB = 1024 * 1024
POD_MIB = 128  # the limit in hooks/children/pod.py
LONGEST = 4 * MIB
SENT = ""  # no failure: the items are sent
EMOJI = "\N{GRINNING FACE}".encode()  # one such character makes a whole text four times as large


def repeated(unit: bytes, size: int = LONGEST) -> bytes:
    return b"[" + unit * ((size - 3) // len(unit)) + b"0]"


def rss(count: int, item: bytes = b"<item><guid>%d</guid></item>") -> bytes:
    return b"<rss version='2.0'><channel>" + b"".join(item % n for n in range(count)) + b"</channel></rss>"


def unique_keys(count: int) -> bytes:
    return json.dumps([{"id": str(n), **{f"{n}-{key}": {} for key in range(30)}} for n in range(count)]).encode()


TOO_MANY = r"parsing the response could take \d+ MiB of memory, more than 26; request fewer items$"
ENTITIES = b"<!DOCTYPE rss [<!ENTITY a '" + b"x" * 99 + b"'><!ENTITY b '" + b"&a;" * 30 + b"'>]>"
# Made when a test needs them: together they take 300 MiB.
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty objects": (lambda: repeated(b"{},"), TOO_MANY),
    "empty arrays": (lambda: repeated(b"[],"), TOO_MANY),
    "objects": (lambda: repeated(b'{"a":0},'), TOO_MANY),
    "numbers": (lambda: repeated(b"9999,"), TOO_MANY),
    "nested arrays": (lambda: b"[" * LONGEST, TOO_MANY),
    "nested objects": (lambda: b'[{"a":' * 400_000, TOO_MANY),
    "unique keys": (lambda: unique_keys(7000), TOO_MANY),
    "small items": (lambda: json.dumps([{"id": n, "v": [{}] * 100} for n in range(9000)]).encode(), TOO_MANY),
    "JSON Feed": (
        lambda: b'{"version":"https://jsonfeed.org/version/1","items":' + repeated(b"{},", 4_000_000) + b"}",
        TOO_MANY,
    ),
    "as many unique keys as allowed": (lambda: unique_keys(2430), SENT),
    "as many arrays as allowed": (
        lambda: repeated(b"[{}],", 471_000),
        'items "@" selects 94200 items, more than 10000',
    ),
    "as many arrays as allowed, and a long text": (
        lambda: b'[{"id":1,"y":' + repeated(b"[[[[[]]]]],", 191_000) + b',"x":"' + b"a" * 3_500_000 + EMOJI + b'"}]',
        SENT,
    ),
    "as many small items as allowed": (
        lambda: json.dumps([{"id": n, "v": [{}] * 10} for n in range(9270)]).encode(),
        SENT,
    ),
    "escapes": (lambda: b'[{"id":1,"x":"' + b"\\u0001" * 690_000 + b'"}]', SENT),
    "escaped emoji": (lambda: b'[{"id":1,"x":"' + b"a" * 4_190_000 + b'\\ud83d\\ude00"}]', SENT),
    "emoji": (lambda: b'[{"id":1,"x":"' + b"a" * 4_190_000 + EMOJI + b'"}]', SENT),
    "digits": (
        lambda: b'[{"id":1,"n":' + b"1" * 4_190_000 + b"}]",
        "the response holds an integer of more than 10000 digits",
    ),
    "feed of 50,000 entries": (
        lambda: rss(50_000, b"<item><guid>%d</guid><title>t</title></item>"),
        "parsing the feed takes more than 52 MiB of memory",
    ),
    "feed of 7,000 entries": (
        lambda: rss(7000, b"<item><guid>%d</guid><title>" + EMOJI + b"x" * 200 + b"</title></item>"),
        SENT,
    ),
    "feed of long entries": (
        lambda: rss(100, b"<item><guid>%d</guid><title>" + b"x" * 41_000 + b"</title></item>"),
        SENT,
    ),
    "entities": (
        lambda: ENTITIES + rss(10, b"<item><guid>%d</guid>" + b"&b;" * 9999 + b"</item>"),
        "the feed declares an XML entity",
    ),
}


def outcome(start: Start, answer: Answer) -> tuple[str, float]:
    """The reason of the failed poll, else "", and the highest memory in MiB."""
    _, sink = display(start)
    with memory_limit(POD_MIB) as pod, Upstream(lambda headers, n: answer) as upstream:
        source = poller(pod.start, sink, upstream, "1h", timeout="5m", maxBytes=LONGEST)
        events = 'source_events_total{kind="PollSource",name="source",namespace="default",outcome="delivered"'

        def ended() -> bool:
            assert not pod.killed(), "the kernel has killed the adapter"
            return bool(source.process.logged("poll failed") or polls(source, "ok") or source.metric(events) >= 100)

        wait_until(ended, "a poll", lambda: source.process.errors)
        lines = source.process.logged("poll failed")
        assert source.process.stop()[0] == 0
        source.assert_log_is_json()
        return (lines[0]["reason"] if lines else SENT), pod.peak_mib()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_response_leaves_a_fifth_of_the_memory_of_the_pod_free(start: Start, name: str) -> None:
    make, reason = HOSTILE[name]
    body = make()
    assert len(body) <= LONGEST
    found, peak_mib = outcome(start, Answer(body))
    assert re.match(reason, found) if reason else found == SENT, found
    assert peak_mib <= 0.8 * POD_MIB


def test_gzip_bomb_leaves_a_fifth_of_the_memory_of_the_pod_free(start: Start) -> None:
    bomb = gzip.compress(b" " * 1_000_000_000)
    found, peak_mib = outcome(start, Answer(bomb, headers={"Content-Encoding": "gzip"}))
    assert found == f"the response is longer than maxBytes ({LONGEST})"
    assert peak_mib <= 0.8 * POD_MIB


@pytest.mark.parametrize("unit", [b"{},", b"[{}],", b"[[[[[[[[]]]]]]]],", b'{"a":0},'])
@pytest.mark.parametrize("size", [MIB, LONGEST])
def test_kind_with_the_default_limit_survives_dense_json(start: Start, tmp_path: Path, unit: bytes, size: int) -> None:
    """``poll()`` calls ``response.json()`` without a limit on the values. ``body_limit()`` alone must be enough."""
    _, sink = display(start)
    body = repeated(unit, size)
    with memory_limit(POD_MIB) as pod, Upstream(lambda headers, n: Answer(body)) as upstream:
        source = own_kind(pod.start, sink, upstream, tmp_path)
        wait_until(
            lambda: source.process.logged("poll failed") or pod.killed(), "a poll", lambda: source.process.errors
        )
        assert pod.killed() == 0
        assert source.process.stop()[0] == 0
        assert pod.peak_mib() <= 0.8 * POD_MIB

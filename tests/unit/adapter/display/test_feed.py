"""What the live page keeps, counts, samples and cuts."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from adapter.cloudevents.attributes import ReceivedEvent
from adapter.display.feed import Feed
from adapter.display.record import Record, as_message, encode_message, event_record, refused_record
from adapter.display.viewer import BACKLOG, PART_SIZE, Sampler, Viewer

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def record(number: int, status: int | None = 202, data: bytes = b"", dead_letter: str = "") -> Record:
    return Record(number, NOW, status, {"type": "t"}, data, len(data), dead_letter=dead_letter)


def fed(count: int, clock: Clock | None = None, data: bytes = b"", **limits: int) -> Feed:
    feed = Feed(clock or Clock(), **limits)
    for n in range(1, count + 1):
        feed.add(record(n, data=data))
    return feed


def test_feed_keeps_the_newest_events_within_its_count() -> None:
    feed = fed(10, events=3)
    assert [each.number for each in feed.since(0)] == [8, 9, 10]
    assert [each.number for each in feed.since(9)] == [10]
    assert feed.counts.total == 10


def test_feed_keeps_the_newest_events_within_its_bytes() -> None:
    feed = fed(10, data=b"x" * 10_000, size=35_000)
    assert [each.number for each in feed.since(0)] == [8, 9, 10]


def test_feed_counts_failed_answers_and_dead_letters() -> None:
    feed = Feed(Clock())
    for number, (status, dead) in enumerate([(202, ""), (299, ""), (503, ""), (None, ""), (202, "http://h")], 1):
        feed.add(record(number, status, dead_letter=dead))
    assert (feed.counts.total, feed.counts.failed, feed.counts.dead_letters) == (5, 2, 1)


def test_rates_are_of_the_last_60_whole_seconds() -> None:
    clock = Clock()
    feed = Feed(clock)
    for second in range(100):
        clock.now = 1000.5 + second
        for _ in range(second):
            feed.add(record(feed.next_number))
    assert feed.rates() == list(range(39, 99))
    clock.now += 59
    assert feed.rates() == [98, 99, *[0] * 58]


def test_sampler_passes_a_slow_rate_unchanged() -> None:
    sampler, shown = Sampler(0.0), 0
    for tenth in range(1, 1001):
        shown += len(sampler.take([record(n) for n in range(4)], tenth / 10))
    assert shown == 4000


def test_sampler_limits_a_fast_rate_to_50_per_second() -> None:
    sampler, shown = Sampler(0.0), 0
    for tenth in range(1, 101):
        shown += len(sampler.take([record(n) for n in range(100)], tenth / 10))
    assert 500 <= shown <= 550  # the first second may have twice as many


def test_sampler_prefers_failed_answers_and_dead_letters() -> None:
    new = [record(n, 503 if n == 7 else 202, dead_letter="http://h" if n == 3 else "") for n in range(1, 100)]
    chosen = Sampler(0.0, rate=5).take(new, 0.0)
    assert [each.number for each in chosen] == sorted(each.number for each in chosen)
    assert len(chosen) == 5
    assert {3, 7} <= {each.number for each in chosen}


def messages(part: bytes) -> list[tuple[str, Any]]:
    found = []
    for block in part.decode("ascii").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines())
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def watched(feed: Feed, clock: Clock, count: int, after: int = 0) -> list[list[tuple[str, Any]]]:
    """The first parts of a viewer; ``count`` events arrive between the second and the third one."""

    async def run() -> list[list[tuple[str, Any]]]:
        parts = Viewer(feed, after).parts()
        seen = [messages(await anext(parts)), messages(await anext(parts))]
        for _ in range(count):
            feed.add(record(feed.next_number))
        clock.now += 1
        seen.append(messages(await anext(parts)))
        assert len(feed.watching) == 1
        await parts.aclose()
        assert not feed.watching
        return seen

    return asyncio.run(run())


def test_viewer_gets_recent_events_at_once_and_then_a_sample_with_exact_counts() -> None:
    clock = Clock()
    start, recent, later = watched(fed(300, clock), clock, 1000)
    assert start[0][0] == "start"
    assert [value["n"] for kind, value in recent if kind == "event"] == list(range(301 - BACKLOG, 301))
    assert len([kind for kind, _ in later if kind == "event"]) == 50
    kind, counts = later[-1]
    assert kind == "counts"
    assert (counts["total"], counts["arrived"], counts["sent"], counts["seconds"]) == (1300, 1000, 50, 1.0)


def test_viewer_resumes_after_the_last_event_of_the_page() -> None:
    clock = Clock()
    recent = watched(fed(10, clock), clock, 0, after=8)[1]
    assert [value["n"] for kind, value in recent if kind == "event"] == [9, 10]


def test_part_of_a_viewer_is_limited_in_bytes_and_has_the_newest_events() -> None:
    clock = Clock()
    feed = fed(200, clock, data=b"\x00" * 30_000)

    async def second() -> bytes:
        parts = Viewer(feed).parts()
        await anext(parts)
        part = await anext(parts)
        await parts.aclose()
        return part

    part = asyncio.run(second())
    assert len(part) < 2 * PART_SIZE
    assert [value["n"] for kind, value in messages(part) if kind == "event"][-1] == 200


def shown(data: bytes | None = None, content_type: str = "", **attributes: Any) -> dict[str, Any]:
    event = ReceivedEvent({"type": "t", **attributes}, {"team": True}, data, content_type)
    return as_message(event_record(1, NOW, 202, event, {"extensions": {}}))


@pytest.mark.parametrize(
    ("data", "content_type", "expected"),
    [
        pytest.param(None, "", None, id="none"),
        pytest.param(b'{"a": 1.10e400}', "application/json", ("json", '{"a": 1.10e400}'), id="json"),
        pytest.param("grün".encode(), "text/plain", ("text", "grün"), id="text"),
        pytest.param(b"\xff\x00", "image/png", ("base64", "/wA="), id="binary"),
    ],
)
def test_data_is_json_text_or_base64(data: bytes | None, content_type: str, expected: tuple[str, str] | None) -> None:
    found = shown(data, content_type)["data"]
    assert (found and (found["kind"], found["text"])) == expected


def test_large_data_is_cut_between_characters() -> None:
    found = shown(("ü" * 50_000).encode() + b"x", "text/plain")["data"]
    assert (found["size"], found["shown"], found["text"]) == (100_001, 32_768, "ü" * 16_384)
    assert shown(b"a" + ("ü" * 50_000).encode(), "text/plain")["data"]["text"].endswith("ü")


def test_large_attributes_are_cut_and_the_message_says_so() -> None:
    message = shown(subject="s" * 100_000, **{f"a{n}": "x" * 900 for n in range(100)})
    assert message["attributes"]["subject"] == "s" * 1000
    assert message["cut"]["subject"] == 100_000
    assert message["leftOut"] > 80
    assert len(json.dumps(message)) < 20_000


def test_message_is_one_line_of_ascii_whatever_the_event_contains() -> None:
    encoded = encode_message("event", as_message(refused_record(1, NOW, "a\nb\u2028\ud800")), "s-1")
    assert encoded.startswith(b"id: s-1\nevent: event\ndata: {")
    assert encoded.count(b"\n") == 4

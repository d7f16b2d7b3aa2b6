"""Feeds are parsed in a subprocess with limits."""

from __future__ import annotations

import asyncio
import sys

import pytest

from adapter.polling.documents import Document
from adapter.polling.errors import PollFailed
from adapter.polling.feeds.feed_process import COMMAND, parse_in_subprocess

ATOM = b"<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title><entry><id>urn:1</id></entry></feed>"


def parsed(body: bytes, *command: str) -> Document:
    return asyncio.run(parse_in_subprocess(body, "", "http://host/feed", command or COMMAND))


def test_feed_is_parsed() -> None:
    document = parsed(ATOM)
    assert [entry["id"] for entry in document.entries or []] == ["urn:1"]
    assert document.value["feed"]["title"] == "t"


def test_feed_that_needs_too_much_memory_is_a_failure() -> None:
    with pytest.raises(PollFailed, match="parsing the feed takes more than 52 MiB of memory"):
        parsed(b"<rss><channel>" + b"<x>" * 340_000)


def test_crash_of_the_parser_is_a_failure() -> None:
    with pytest.raises(PollFailed, match="the feed cannot be parsed: the parser ended with exit code 3"):
        parsed(ATOM, sys.executable, "-c", "raise SystemExit(3)")


def test_parser_does_not_inherit_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_SECRET_0", "hush")
    code = "import json, os; print(json.dumps({'value': {'entries': sorted(os.environ)}}))"
    assert "SOURCE_SECRET_0" not in (parsed(ATOM, sys.executable, "-c", code).entries or [])

"""``sources run`` names the live page of each display, and opens it."""

from __future__ import annotations

import re
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sources_cli.local.browser import open_page
from tests.deadline import DEADLINE_S
from tests.process.harness import wait_until
from tests.process.sources import QUICKSTART, read_until, running, sources

PAGE = re.compile(r"^event-display: shows the events at (http://127\.0\.0\.1:\d+/)$", re.MULTILINE)


def browser(directory: Path) -> Path:
    """A program that writes the address it gets into the file ``opened``."""
    program = directory / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {directory}/opened\n')
    program.chmod(0o755)
    return program


def test_open_opens_the_page_whose_address_the_output_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", str(browser(tmp_path)))
    with running("--open", QUICKSTART) as process:
        found = PAGE.search(read_until(process, PAGE.pattern))
        assert found
        wait_until((tmp_path / "opened").exists, "the browser")
        wait_until(lambda: (tmp_path / "opened").read_text() == found[1] + "\n", "the page")
        with urllib.request.urlopen(found[1], timeout=DEADLINE_S) as response:
            assert b"<title>Events</title>" in response.read()
        with pytest.raises(ConnectionRefusedError):  # as from another machine, which must not read the events
            socket.create_connection(("127.0.0.2", urlsplit(found[1]).port or 0), timeout=DEADLINE_S)


def test_open_without_a_browser_says_what_to_do(tmp_path: Path) -> None:
    ended = sources("run", "--open", "--for", "2s", QUICKSTART, cwd=tmp_path, PATH="/nowhere")
    assert ended.returncode == 0, ended.stderr
    assert re.search(
        r"^--open: no web browser was found; open http://\S+ yourself, or set BROWSER$", ended.stderr, re.M
    )


def test_open_without_a_display_says_why_there_is_no_page() -> None:
    reason = "there is no page, because no Deployment in the files runs `python -m adapter.display`"
    assert open_page(None) == f"--open: {reason}"

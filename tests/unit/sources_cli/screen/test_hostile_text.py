"""Foreign text in each field that a screen shows: it stays one line of text."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from adapter.contract.formats import format_time, printable
from sources_cli.screen import stdout
from sources_cli.screen.live import LiveScreen
from sources_cli.screen.plain import PlainScreen, Screen
from tests.deadline import DEADLINE_S
from tests.unit.sources_cli.screen.hostile import MARKUP, TEXTS, unsafe

LINES = 200


def fill(screen: Screen, text: str) -> None:
    """Shows the text in each field that comes from a file, an adapter, a sink or the hook."""
    now = format_time(datetime.now(UTC))
    metadata = {"name": text, "namespace": text, "uid": text, "creationTimestamp": now}
    for status in ("True", "False", "Unknown", text):
        conditions = [
            {"type": type, "status": status, "reason": text, "message": text}
            for type in ("Ready", "SinkProvided", "Deployed")
        ]
        shown = {"conditions": conditions, "sinkUri": text}
        source = {"kind": text, "metadata": metadata | {"uid": status}, "spec": {"interval": text}, "status": shown}
        screen.row(source, 1, text)
    extensions = {"knativeerrordest": text, "knativeerrorcode": text, "knativeerrordata": text}
    screen.event(text, {"type": text, "source": text, "data": {text: text}, "extensions": extensions})
    screen.message(text)
    screen.problems([text])


def live(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    screen = LiveScreen(console := Console(file=io.StringIO(), width=10_000, height=LINES, force_terminal=False))
    with console.capture() as captured:
        fill(screen, text)
        console.print(screen.render())
    return captured.get() + "".join(capsys.readouterr())


def plain(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    fill(PlainScreen([{"kind": text, "metadata": {"name": text}}]), text)
    return "".join(capsys.readouterr())


@pytest.mark.parametrize("shown", [live, plain])
@pytest.mark.parametrize("text", TEXTS, ids=["markup", "commands", "control", "direction", "invisible"])
def test_foreign_text_is_shown_as_one_line_of_text(shown: Any, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = shown(text, capsys)
    assert unsafe(output) == []
    assert not any(line.startswith("sources: forged") for line in output.splitlines())
    assert output.count(printable(text)) >= 5


@pytest.mark.parametrize("shown", [live, plain])
def test_address_in_brackets_is_not_read_as_markup(shown: Any, capsys: pytest.CaptureFixture[str]) -> None:
    output = shown(MARKUP, capsys)
    assert output.count(MARKUP) >= 10


@pytest.mark.parametrize("text", ["\x7f", "\u202e", "\U000e0041", "\x9b", "a"])
def test_json_escapes_what_is_not_visible(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    stdout.show_json(f'{{"a":"{text}"}}')
    output = capsys.readouterr().out
    assert unsafe(output) == []
    assert __import__("json").loads(output) == {"a": text}


class Full(io.StringIO):
    """A terminal that fails after the first lines."""

    def write(self, text: str) -> int:
        if self.tell() > 1000:
            raise ValueError("broken terminal")
        return super().write(text)


def test_error_in_drawing_ends_the_task_that_the_run_watches() -> None:
    async def draw() -> BaseException | None:
        screen = LiveScreen(Console(file=Full(), width=100, height=24, force_terminal=True))
        tasks: list[asyncio.Future[Any]] = []
        screen.start(tasks.append)
        for number in range(10):
            name = f"a{number}"
            now = format_time(datetime.now(UTC))
            metadata = {"name": name, "namespace": "default", "creationTimestamp": now}
            screen.row({"kind": "SampleSource", "metadata": metadata}, 0)
        await asyncio.wait(tasks, timeout=DEADLINE_S)
        await screen.close()
        return tasks[0].exception()

    assert str(asyncio.run(draw())) == "broken terminal"

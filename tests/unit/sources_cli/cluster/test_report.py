"""What people and programs see."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sources_cli.cluster.commands import row
from sources_cli.cluster.diagnosis import explain
from sources_cli.cluster.events import lines as event_lines
from sources_cli.cluster.report import as_json, lines, show
from tests.unit.sources_cli.cluster.objects import AT, KIND, NOW, failed, snapshot, source, unfinished

LOST = unfinished(failed("SinkProvided", "NotFound", "Service default/display does not exist; create it"))


def printed(seen: Any = LOST, width: int = 0) -> list[str]:
    return list(lines(seen, explain(seen), width=width))


def test_finding_says_what_is_wrong_since_when_and_what_to_do() -> None:
    text = printed()
    at = text.index("NotFound: Service default/display does not exist; create it")
    assert text[at + 1 :] == [
        f"  since  {AT} (2m ago)",
        "  do     Create it, or correct ref.",
        "  run    kubectl get services -n default",
        "  see    docs/operate.md#reasons",
    ]
    assert "✗ sink        http://display.default.svc" in text


def test_healthy_source_says_what_was_checked() -> None:
    assert printed(snapshot())[-1] == (
        "Nothing is wrong. Checked: source, sink, controller, deployment, pod, delivery. "
        "The sink last accepted an event at 2026-01-01T11:58:20Z."
    )


@pytest.mark.parametrize("width", [50, 60, 80])
def test_text_fits_the_terminal_and_commands_stay_whole(width: int) -> None:
    text = printed(width=width)
    assert "  run    kubectl get services -n default" in text
    free = [line for line in text if not line.startswith(("  run", "  see", "  since"))]
    assert max(map(len, free)) < width


def test_text_of_the_cluster_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = unfinished(failed("SinkProvided", "NotFound", "\x1b[2J\x1b]0;title\x07 \u202e evil\nsecond line"))
    show(hostile, explain(hostile))
    shown = capsys.readouterr().out
    assert not {char for char in shown if not char.isprintable()} - {"\n"}


def test_json_has_the_documented_fields() -> None:
    value = json.loads(json.dumps(as_json(LOST, explain(LOST))))
    assert list(value) == [
        "kind", "apiVersion", "namespace", "name", "checkedAt", "healthy", "ready", "lastDelivered", "findings",
        "chain", "notes",
    ]  # fmt: skip
    assert (value["healthy"], value["ready"], value["lastDelivered"]) == (False, "False", None)
    assert list(value["findings"][0]) == ["reason", "step", "message", "since", "todo", "command", "docs"]
    assert [link["step"] for link in value["chain"]] == [
        "source",
        "sink",
        "controller",
        "deployment",
        "pod",
        "delivery",
    ]


def test_row_of_a_source_without_status_says_so() -> None:
    assert row(KIND, source(), NOW) == {
        "namespace": "default", "name": "hello", "kind": "SampleSource", "ready": "", "reason": "", "sink": "",
        "age": "2m", "message": "no status yet; run `sources explain`",
    }  # fmt: skip


def test_equal_events_are_one_line_in_the_order_of_their_last_time() -> None:
    def event(name: str, first: str, last: str | None, **more: Any) -> Any:
        of = {"kind": "Pod", "name": name}
        return {
            "involvedObject": of,
            "firstTimestamp": first,
            "lastTimestamp": last,
            "reason": "R",
            "message": "m",
            **more,
        }

    found = event_lines(
        [
            event("b", "2026-01-01T10:00:00Z", "2026-01-01T12:00:00Z", count=4),
            event("a", "2026-01-01T11:00:00Z", "2026-01-01T11:00:00Z"),
            event("b", "2026-01-01T09:00:00Z", "2026-01-01T09:30:00Z"),
            event("c", "", None, eventTime="2026-01-01T08:00:00.123456Z"),
        ]
    )
    assert [(line.object, line.count, line.first[11:16], line.last[11:16]) for line in found] == [
        ("Pod/c", 1, "08:00", "08:00"),
        ("Pod/a", 1, "11:00", "11:00"),
        ("Pod/b", 5, "09:00", "12:00"),
    ]

"""The sample kinds: thirty lines each; they pass lint, run, and do what their README says."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from adapter import sdk
from adapter.testing import Deliver, Poll, Receive, Run, Sink, SinkReply, VirtualClock
from tests.pages import page, rows, section
from tests.process.harness import DEADLINE_S
from tests.process.sources import ROOT, read_until, running, sources
from tests.process.upstream import Answer, Upstream

PACKAGE = "metacontroller.samples.kinds"
KINDS = ROOT / "metacontroller/samples/kinds"
SINK = ROOT / "metacontroller/samples/sink.yaml"
SAMPLES = sorted(file.stem for file in KINDS.glob("*.py"))
LIBRARIES = {
    "cron_source": {"cronsim"},
    "postgres_outbox_source": {"asyncpg"},
    "redis_stream_source": {"redis.asyncio"},
}
STANDARD = {
    *("asyncio", "collections.abc", "datetime", "hashlib", "hmac", "json", "mimetypes", "pathlib", "typing"),
    *("urllib.parse", "zoneinfo"),
}
MORNING = datetime(2026, 3, 27, 7, tzinfo=UTC)  # a Friday; summer time begins in Berlin on Sunday


def cron(schedule: str, time_zone: str = "UTC") -> Any:
    return import_module(f"{PACKAGE}.cron_source").CronSource(schedule=schedule, timeZone=time_zone)


def dues(events: list[sdk.Event]) -> list[str]:
    return [event.data["due"] for event in events]


def test_page_lists_each_sample_kind_with_its_base_class_and_its_library() -> None:
    _, *table = rows(section("docs/write-a-source.md", "### Kinds to start from"))
    listed = {cells[0].strip("`").removesuffix(".py"): (cells[1].strip("`"), cells[3].strip("`")) for cells in table}
    assert listed == {name: (base_class(name), library(name)) for name in SAMPLES}


def base_class(name: str) -> str:
    found = re.search(r"^class \w+\((\w+)\):$", (KINDS / f"{name}.py").read_text(), re.MULTILINE)
    assert found
    return found[1]


def library(name: str) -> str:
    return next((library.partition(".")[0] for library in LIBRARIES.get(name, ())), "")


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_has_thirty_lines_and_imports_only_the_sdk_and_the_standard_library(name: str) -> None:
    code = (KINDS / f"{name}.py").read_text()
    assert len(code.splitlines()) <= 30
    tree = ast.parse(code)
    imported = {node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)}
    imported |= {node.names[0].name for node in tree.body if isinstance(node, ast.Import)}
    assert imported - STANDARD == {"adapter.sdk"} | LIBRARIES.get(name, set())


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_passes_lint_and_its_manifests_can_be_generated(name: str) -> None:
    linted = sources("lint", "--package", PACKAGE, KINDS / f"{name}.yaml")
    assert (linted.returncode, linted.stdout) == (0, "1 source, no problems\n"), linted.stderr
    made = sources("manifests", f"{PACKAGE}.{name}")
    assert (made.returncode, made.stderr) == (0, "")


def test_cron_follows_its_time_zone_through_the_change_to_summer_time(run: Run) -> None:
    berlin = cron("0 9 * * MON-FRI", "Europe/Berlin")
    events = run(berlin, 2, clock=VirtualClock(MORNING), created=MORNING)
    assert dues(events) == ["2026-03-27T09:00:00+01:00", "2026-03-30T09:00:00+02:00"]
    assert [event.time and event.time.astimezone(UTC).hour for event in events] == [8, 7]


def test_cron_skips_times_that_are_over_a_minute_late_after_the_machine_slept(run: Run) -> None:
    class Asleep(VirtualClock):
        async def sleep_until(self, deadline: datetime) -> None:
            await super().sleep_until(deadline)
            if len(self.sleeps) == 2:
                self.advance(3 * 3600 + 30)

    events = run(cron("0 * * * *"), 3, clock=Asleep(MORNING), created=MORNING)
    assert [due[11:16] for due in dues(events)] == ["08:00", "12:00", "13:00"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"schedule": "0 9 * * MN"}, "SOURCE_CONFIG is an object with the key schedule: the "
                     "class of the kind rejects it (CronSimError: Bad day-of-week)", id="expression"),
        pytest.param({"schedule": "0 9 * * *", "timeZone": "x/y"}, 'SOURCE_CONFIG, field timeZone, is "x/y": invalid '
                     "timezone: x/y", id="time zone"),
    ],
)  # fmt: skip
def test_invalid_cron_source_is_one_line_with_exit_code_2(config: dict[str, str], message: str) -> None:
    own = {"SOURCES_PACKAGE": PACKAGE, "SOURCE_KIND": "CronSource", "SOURCE_CONFIG": json.dumps(config)}
    env = {"PYTHONPATH": str(ROOT), "K_SINK": "http://h", "EVENT_SOURCE": "/a/b", **own}
    done = subprocess.run([sys.executable, "-m", "adapter"], env=env, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (2, f"{message}\n")


def test_cron_event_has_the_same_id_after_a_restart(run: Run) -> None:
    before = run(cron("*/5 * * * *"), 3, clock=VirtualClock(MORNING), created=MORNING)
    killed = VirtualClock(MORNING + timedelta(minutes=10, seconds=30))
    again = run(cron("*/5 * * * *"), 2, clock=killed, created=MORNING)
    assert dues(before)[1:] == dues(again) == ["2026-03-27T07:10:00+00:00", "2026-03-27T07:15:00+00:00"]
    assert [event.id for event in before[1:]] == [event.id for event in again]


def test_cron_sends_no_event_that_was_due_before_its_creation(run: Run) -> None:
    assert dues(run(cron("* * * * *"), 1, clock=VirtualClock(MORNING), created=MORNING)) == [
        "2026-03-27T07:01:00+00:00"
    ]


def test_cron_skips_events_that_were_due_while_the_sink_was_down(deliver: Deliver, sink: Sink) -> None:
    sink.answer(SinkReply(503, headers={"Retry-After": "280"}))
    deliver(cron("* * * * *"), sink, 2, clock=VirtualClock(MORNING))
    minutes = [event["data"]["due"][14:16] for event in sink.taken]
    assert int(minutes[1]) - int(minutes[0]) == 4


@pytest.mark.parametrize("schedule", ["0 9 * *", "9:00", "* * * * * * *"])
def test_cron_rejects_an_expression_without_five_or_six_fields(schedule: str) -> None:
    with pytest.raises(ValidationError, match="schedule"):
        cron(schedule)


def test_command_of_the_page_runs_the_cron_sample() -> None:
    text = page("docs/write-a-source.md")
    command = re.search(rf"^\$ sources (run --package {PACKAGE} .*)$", text, re.MULTILINE)
    assert command
    ran = sources(*command[1].split())
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    shown = re.search(r"  good-morning  com\.example\.cron  (\{.*\})$", ran.stdout, re.MULTILINE)
    assert shown, ran.stdout
    due = datetime.fromisoformat(json.loads(shown[1])["due"])
    assert due.utcoffset() in (timedelta(hours=1), timedelta(hours=2))
    assert abs(datetime.now(UTC) - due) < timedelta(minutes=1)


def test_queue_depth_is_the_message_count_of_rabbitmq(poll: Poll) -> None:
    spec = {"url": "http://rabbitmq:15672", "queue": "orders", "password": "guest"}
    source = import_module(f"{PACKAGE}.queue_depth_source").QueueDepthSource(**spec)
    date = "Fri, 27 Mar 2026 07:00:00 GMT"
    (event,) = poll(source, httpx2.Response(200, json={"messages": 3}, headers={"Date": date}))
    assert (event.id, event.subject, event.data) == (f"orders {date}", "orders", {"queue": "orders", "messages": 3})


def github(body: bytes, **others: str | None) -> dict[str, str]:
    """The headers that GitHub sends with ``body``, changed by ``others``; None omits a header."""
    signature = "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    usual = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d1", "Content-Type": "application/json"}
    named = {name.replace("_", "-"): value for name, value in others.items()}
    merged = {**usual, "X-Hub-Signature-256": signature, **named}
    return {name: value for name, value in merged.items() if value is not None}


def github_source() -> Any:
    return import_module(f"{PACKAGE}.github_webhook_source").GithubWebhookSource(secret="s3cret")


PUSH = b'{"repository":{"full_name":"octo/cat"}}'


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        pytest.param(PUSH, "octo/cat", id="repository"),
        pytest.param(b"{}", None, id="none"),
        pytest.param(b'{"repository":null}', None, id="null"),
        pytest.param(b'{"repository":["octo/cat"]}', None, id="list"),
        pytest.param(b'{"repository":{"full_name":""}}', None, id="empty"),
        pytest.param(b'{"repository":{"full_name":7}}', "7", id="number"),
    ],
)
def test_github_webhook_becomes_an_event_with_the_repository_as_subject(
    receive: Receive, body: bytes, subject: str | None
) -> None:
    event = receive(github_source(), body, headers=github(body, Content_Type="Application/JSON; charset=utf-8"))
    assert (event.type, event.id, event.subject) == ("com.github.push", "d1", subject)
    assert event.data == json.loads(body)


FORM = {"Content_Type": "application/x-www-form-urlencoded"}  # GitHub's default


@pytest.mark.parametrize(
    ("body", "others", "status", "message"),
    [
        pytest.param(PUSH, {"X_Hub_Signature_256": "sha256=" + "0" * 64}, 401, "does not match", id="signature"),
        pytest.param(PUSH, {"X_Hub_Signature_256": None}, 401, "does not match", id="unsigned"),
        pytest.param(b"payload=%7B%7D", FORM, 415, "choose the content type application/json", id="form"),
        pytest.param(PUSH, {"Content_Type": None}, 415, "choose the content type", id="no content type"),
        pytest.param(PUSH, {"X_GitHub_Delivery": None}, 400, "X-GitHub-Delivery is missing or empty", id="no delivery"),
        pytest.param(PUSH, {"X_GitHub_Delivery": ""}, 400, "missing or empty", id="empty delivery"),
        pytest.param(PUSH, {"X_GitHub_Event": ""}, 400, "missing or empty", id="empty event"),
        pytest.param(b"[]", {}, 400, "not a JSON object", id="list"),
        pytest.param(b'"push"', {}, 400, "not a JSON object", id="text"),
        pytest.param(b"null", {}, 400, "not a JSON object", id="null"),
        pytest.param(b"{", {}, 400, "not a JSON object", id="broken"),
        pytest.param(b"\xff", {}, 400, "not a JSON object", id="octets"),
    ],
)
def test_invalid_github_webhook_is_rejected_with_its_reason(
    receive: Receive, body: bytes, others: dict[str, str | None], status: int, message: str
) -> None:
    with pytest.raises(sdk.Refusal, match=message) as refusal:
        receive(github_source(), body, headers=github(body, **others))
    assert refusal.value.status == status


def test_github_sample_runs_and_accepts_only_signed_requests() -> None:
    body = b'{"repository":{"full_name":"octo/cat"}}'
    signature = "sha256=" + hmac.new(b"write-your-own", body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "d1", "Content-Type": "application/json"}
    with running("--package", PACKAGE, SINK, KINDS / "github_webhook_source.yaml") as process:
        url = re.search(r"listens on (\S+)$", read_until(process, "listens on", stream="stderr"), re.MULTILINE)
        assert url
        read_until(process, r"^github +GithubWebhookSource +True ")
        for signed, status in (("sha256=0", 401), (signature, 202)):
            sent = httpx2.post(
                url[1],
                content=body,
                headers={**headers, "X-Hub-Signature-256": signed},
                trust_env=False,
                timeout=DEADLINE_S,
            )
            assert sent.status_code == status
        read_until(process, r'github  com\.github\.push  \{"repository": ')


def test_queue_depth_sample_runs_against_a_stand_in_for_rabbitmq(tmp_path: Path) -> None:
    with Upstream(lambda headers, n: Answer({"messages": 3 + n})) as rabbitmq:
        text = (KINDS / "queue_depth_source.yaml").read_text()
        local = rabbitmq.url.removesuffix("/items")
        (tmp_path / "local.yaml").write_text(text.replace("http://rabbitmq.default.svc:15672", local))
        ran = sources("run", "--package", PACKAGE, "--once", SINK, tmp_path / "local.yaml")
        assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert re.search(
        r'  orders  com\.example\.queue\.depth  {"queue": "orders", "messages": 3}$', ran.stdout, re.MULTILINE
    )
    assert rabbitmq.paths[0] == "/api/queues/%2F/orders"
    assert rabbitmq.asked[0]["authorization"] == "Basic " + base64.b64encode(b"guest:guest").decode()

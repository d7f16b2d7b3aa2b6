"""The sample kinds: thirty lines each; they pass lint, run, and do what their README says."""

from __future__ import annotations

import ast
import base64
import hashlib
import hmac
import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx2
import pytest

from adapter import sdk
from adapter.testing import Poll, Receive
from tests.pages import rows, section
from tests.process.harness import DEADLINE_S
from tests.process.sources import ROOT, read_until, running, sources
from tests.process.upstream import Answer, Upstream

PACKAGE = "metacontroller.samples.kinds"
KINDS = ROOT / "metacontroller/samples/kinds"
SINK = ROOT / "metacontroller/samples/sink.yaml"
SAMPLES = sorted(file.stem for file in KINDS.glob("*.py"))
LIBRARIES = {
    "postgres_outbox_source": {"asyncpg"},
    "redis_stream_source": {"redis.asyncio"},
}
STANDARD = {
    *("asyncio", "collections.abc", "datetime", "hashlib", "hmac", "json", "mimetypes", "pathlib", "typing"),
    "urllib.parse",
}


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

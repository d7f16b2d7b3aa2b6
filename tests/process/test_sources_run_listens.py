"""``sources run`` prints the URL on which a source listens, and why an adapter is not ready."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import httpx2

from tests.process.harness import DEADLINE_S, free_port, wait_until
from tests.process.sources import QUICKSTART, interrupted, read_until, run_until, running, sources
from tests.process.upstream import Answer, Upstream

WEBHOOK = """---
apiVersion: samples.knative.dev/v1alpha1
kind: WebhookSource
metadata: {name: inbox}
spec:
  replicas: 2
  sink:
    ref: {apiVersion: v1, kind: Service, name: event-display}
"""


FAILING = """---
apiVersion: v1
kind: Secret
metadata: {name: door}
stringData: {key: hush-hush-hush}
---
apiVersion: samples.example.com/v1
kind: DoorSource
metadata: {name: door}
spec:
  key: {secretKeyRef: {name: door, key: key}}
  sink:
    ref: {apiVersion: v1, kind: Service, name: event-display}
"""
DOOR = """from adapter.sdk import Event, Field, Listener, Request, SecretText


class DoorSource(Listener):
    \"\"\"Fails.\"\"\"

    api_version = "samples.example.com/v1"
    key: SecretText = Field(description="A key.")

    async def receive(self, request: Request) -> Event:
        raise LookupError(f"no door for {self.key.get_secret_value()}")
"""


def webhook(directory: Path) -> Path:
    file = directory / "webhook.yaml"
    file.write_text("---".join(QUICKSTART.read_text().split("---")[:2]) + WEBHOOK)
    return file


def listening_url(process: subprocess.Popen[str], suffix: str = "") -> str:
    pattern = rf"listens on (http://\S+){suffix}$"
    url = re.search(pattern, read_until(process, "listens on", stream="stderr"), re.MULTILINE)
    assert url
    return url[1]


def test_once_waits_for_a_request_to_a_source_that_listens(tmp_path: Path) -> None:
    with running(webhook(tmp_path), "--once") as process:
        url = listening_url(process, " and waits for a request")
        assert httpx2.post(url, content=b"1", trust_env=False, timeout=DEADLINE_S).status_code == 202
        assert process.wait(DEADLINE_S) == 0


def test_event_with_an_integer_of_5000_digits_is_printed(tmp_path: Path) -> None:
    with running(webhook(tmp_path)) as process:
        answer = httpx2.post(
            listening_url(process),
            content=b"1" * 5000,
            headers={"Content-Type": "application/json"},
            trust_env=False,
            timeout=DEADLINE_S,
        )
        assert answer.status_code == 202
        read_until(process, f"  {'1' * 5000}$")


POLLS = """---
apiVersion: samples.knative.dev/v1alpha1
kind: PollSource
metadata: {name: feed}
spec:
  url: %s
  interval: 100ms
  sink: {ref: {kind: Service, name: event-display, apiVersion: v1}}
"""


def test_failed_poll_is_shown_once_and_counted_at_the_end(tmp_path: Path) -> None:
    file = tmp_path / "polls.yaml"
    with Upstream(lambda headers, n: Answer(status=500)) as upstream:
        file.write_text("---".join(QUICKSTART.read_text().split("---")[:2]) + POLLS % upstream.url)
        with running(file) as process:
            seen = read_until(process, "poll failed", stream="stderr")
            upstream.wait_for(5)
            result = interrupted(process, seen, stream="stderr")
    shown = [line for line in result.stderr.splitlines() if "poll failed" in line]
    assert [line.startswith("feed: poll failed: HTTP status 500") for line in shown] == [True], result.stderr
    found = re.search(r"^feed: 0 events arrived; poll failed \((\d+) times\); its", result.stdout, re.MULTILINE)
    assert found, result
    assert int(found[1]) >= 4


def test_failing_receive_is_shown_with_its_line_and_count_and_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/door_source.py").write_text(DOOR)
    file = tmp_path / "door.yaml"
    file.write_text("---".join(QUICKSTART.read_text().split("---")[:2]) + FAILING)
    with running("--package", "kinds", file, cwd=tmp_path) as process:
        url = listening_url(process)
        for _ in range(3):
            assert httpx2.post(url, trust_env=False, timeout=DEADLINE_S).status_code == 500
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=DEADLINE_S)
    [shown] = [line for line in errors.splitlines() if "LookupError" in line]
    assert shown.endswith("door: request failed at door_source.py:11: LookupError: no door for (secret)")
    assert "door: 0 events arrived; request failed (3 times); its adapter's exit code: 0\n" in output
    assert "hush" not in output + errors


def test_url_stays_the_same_and_answers_every_request_during_a_rollout(tmp_path: Path) -> None:
    file, first = webhook(tmp_path), free_port()
    with running(file, "--listen-port", str(first)) as process:
        url = listening_url(process)
        assert url == f"http://127.0.0.1:{first}/"
        file.write_text(file.read_text().replace("  replicas: 2\n", "  replicas: 2\n  eventType: com.example.other\n"))
        statuses = set()
        rolled_out = threading.Event()

        def call() -> None:
            while not rolled_out.is_set():
                statuses.add(httpx2.post(url, trust_env=False, timeout=DEADLINE_S).status_code)

        calls = threading.Thread(target=call)
        calls.start()
        try:
            read_until(process, r"inbox  com\.example\.other ")
        finally:
            rolled_out.set()
            calls.join(10)
        assert statuses == {202}


def test_url_has_the_path_of_the_source_and_changes_with_it(tmp_path: Path) -> None:
    file = webhook(tmp_path)
    with running(file) as process:
        first = listening_url(process)
        file.write_text(file.read_text().replace("  replicas: 2\n", "  path: /door\n"))
        assert listening_url(process) == f"{first}door"


def test_two_listeners_get_ports_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = webhook(tmp_path)
    file.write_text(file.read_text() + WEBHOOK.replace("name: inbox", "name: another"))
    with running(file) as process:
        seen = read_until(process, "listens on", stream="stderr") + read_until(process, "listens on", stream="stderr")
    ports = dict(re.findall(r"(\w+): listens on http://127\.0\.0\.1:(\d+)/$", seen, re.MULTILINE))
    assert int(ports["inbox"]) < int(ports["another"])


def test_chosen_port_that_is_in_use_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = sources("run", "--listen-port", str(port), webhook(tmp_path))
    assert (result.returncode, result.stdout.count("inbox")) == (2, 0)
    assert result.stderr == (
        f"sources: port {port} is in use; choose another one with --listen-port, or omit --listen-port\n"
    )


def test_request_to_the_printed_url_arrives_as_an_event(tmp_path: Path) -> None:
    with running(webhook(tmp_path)) as process:
        url = listening_url(process)
        read_until(process, r"^inbox +WebhookSource +True ")
        answer = httpx2.post(
            url, content=b'{"a": 1}', headers={"Content-Type": "application/json"}, trust_env=False, timeout=DEADLINE_S
        )
        assert answer.status_code == 202
        read_until(process, r'inbox  dev\.knative\.webhook\.request  \{"a": 1\}$')
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 0


def poll_source(directory: Path, url: str) -> Path:
    spec = f"spec: {{interval: 200ms, url: {url}, sink: {{uri: 'http://127.0.0.1:9'}}}}\n"
    file = directory / "poll.yaml"
    file.write_text(f"apiVersion: samples.knative.dev/v1alpha1\nkind: PollSource\nmetadata: {{name: list}}\n{spec}")
    return file


def test_readiness_message_is_printed_once_until_the_adapter_is_ready_again(tmp_path: Path) -> None:
    broken = threading.Event()
    with (
        Upstream(lambda headers, n: Answer(status=500 if broken.is_set() else 200, body=[])) as upstream,
        running(poll_source(tmp_path, upstream.url)) as process,
    ):
        read_until(process, r"^list +PollSource +True ")
        broken.set()
        read_until(process, r"^list +PollSource +False +DeploymentUnavailable ")
        line = process.stdout.readline() if process.stdout else ""
        assert re.fullmatch(
            r" +Deployment \S+ is unavailable: not ready: \d+ polls in a row failed: HTTP status 500\n", line
        )
        asked = len(upstream.asked)
        wait_until(lambda: len(upstream.asked) > asked + 5, "more polls", lambda: len(upstream.asked))
        broken.clear()
        seen = read_until(process, r"^list +PollSource +True ")
        assert seen.count("polls in a row failed") == 0  # a higher count alone prints no row


STUCK = '''from datetime import timedelta

from adapter.sdk import Event, Source


class StuckSource(Source):
    """Is never ready."""

    async def events(self, context):
        context.set_unready("waits for a licence")
        await context.clock.sleep_until(context.clock.now() + timedelta(hours=1))
        yield Event("a")
'''


def test_reason_of_an_adapter_that_is_never_ready_is_printed_after_five_seconds(tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/stuck_source.py").write_text(STUCK)
    file = poll_source(tmp_path, "http://h")
    file.write_text(
        file.read_text().replace("PollSource", "StuckSource").replace("interval: 200ms, url: http://h,", "")
    )
    result = run_until("not ready: waits for a licence$", "--package", "kinds", "poll.yaml", cwd=tmp_path)
    assert re.search(
        r"^list +StuckSource +False +ProgressDeadlineExceeded .*\n +not ready: waits for a licence$",
        result.stdout,
        re.MULTILINE,
    ), result

"""``sources run`` says where a source listens, and what an adapter's readiness has against it."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from pathlib import Path

import httpx2

from tests.process.harness import wait_until
from tests.process.local import QUICKSTART, ROOT, SOURCES, read_until, running
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


def webhook(directory: Path) -> Path:
    file = directory / "webhook.yaml"
    file.write_text("---".join(QUICKSTART.read_text().split("---")[:2]) + WEBHOOK)
    return file


def listens_on(process: subprocess.Popen[str], more: str = "") -> str:
    pattern = rf"listens on (http://\S+){more}$"
    where = re.search(pattern, read_until(process, "listens on", stream="stderr"), re.MULTILINE)
    assert where
    return where[1]


def test_once_with_a_source_that_listens_says_what_it_waits_for_and_ends_with_a_request(tmp_path: Path) -> None:
    with running(webhook(tmp_path), "--once") as process:
        where = listens_on(process, " and waits for a request")
        assert httpx2.post(where, content=b"1", trust_env=False).status_code == 202
        assert process.wait(30) == 0


def test_a_source_that_listens_says_where_once_it_answers_and_again_after_a_rollout(tmp_path: Path) -> None:
    file = webhook(tmp_path)
    with running(file) as process:
        first = listens_on(process)
        assert httpx2.post(first, trust_env=False).status_code == 202
        file.write_text(file.read_text().replace("  replicas: 2\n", "  replicas: 2\n  eventType: com.example.other\n"))
        second = listens_on(process)
        assert second != first
        assert httpx2.post(second, trust_env=False).status_code == 202
        read_until(process, r"inbox  com\.example\.other ")


def test_a_source_that_listens_says_where_and_what_it_gets_arrives(tmp_path: Path) -> None:
    file = webhook(tmp_path)
    with running(file) as process:
        where = re.search(r"listens on (http://\S+)$", read_until(process, "listens on", stream="stderr"), re.MULTILINE)
        assert where
        read_until(process, r"^inbox +WebhookSource +True ")
        answer = httpx2.post(
            where[1], content=b'{"a": 1}', headers={"Content-Type": "application/json"}, trust_env=False
        )
        assert answer.status_code == 202
        read_until(process, r'inbox  dev\.knative\.webhook\.request  \{"a": 1\}$')
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def poll_source(directory: Path, url: str) -> Path:
    spec = f"spec: {{interval: 200ms, url: {url}, sink: {{uri: 'http://127.0.0.1:9'}}}}\n"
    file = directory / "poll.yaml"
    file.write_text(f"apiVersion: samples.knative.dev/v1alpha1\nkind: PollSource\nmetadata: {{name: list}}\n{spec}")
    return file


def test_what_an_adapters_readiness_says_is_shown_once_until_it_is_ready_again(tmp_path: Path) -> None:
    broken = threading.Event()
    with (
        Upstream(lambda headers, n: Answer(status=500 if broken.is_set() else 200, body=[])) as upstream,
        running(poll_source(tmp_path, upstream.url)) as process,
    ):
        read_until(process, r"^list +PollSource +True ")
        broken.set()
        read_until(process, r"^list +PollSource +False +DeploymentUnavailable ")
        said = process.stdout.readline() if process.stdout else ""
        assert re.fullmatch(
            r" +Deployment \S+ is unavailable: not ready: \d+ polls in a row failed: HTTP status 500\n", said
        )
        asked = len(upstream.asked)
        wait_until(lambda: len(upstream.asked) > asked + 5, "more polls", lambda: len(upstream.asked))
        broken.clear()
        seen = read_until(process, r"^list +PollSource +True ")
        assert seen.count("polls in a row failed") == 0  # a count that grows is no news


STUCK = '''from datetime import timedelta

from adapter.sdk import Event, Source


class StuckSource(Source):
    """Is never ready."""

    async def events(self, context):
        context.set_unready("waits for a licence")
        await context.clock.sleep_until(context.clock.now() + timedelta(hours=1))
        yield Event("a")
'''


def test_an_adapter_that_never_gets_ready_says_why_after_five_seconds(tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/stuck_source.py").write_text(STUCK)
    file = poll_source(tmp_path, "http://h")
    file.write_text(
        file.read_text().replace("PollSource", "StuckSource").replace("interval: 200ms, url: http://h,", "")
    )
    command = [*SOURCES, "--package", "kinds", "--for", "8s", "poll.yaml"]
    environ = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=50, check=False)
    assert re.search(
        r"^list +StuckSource +False +ProgressDeadlineExceeded .*\n +not ready: waits for a licence$",
        done.stdout,
        re.MULTILINE,
    ), done

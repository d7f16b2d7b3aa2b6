"""``sources run`` as a person starts it: a real hook, a real adapter, a real sink, no cluster."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.process.harness import wait_until
from tests.process.upstream import Answer, Upstream

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "metacontroller/samples/quickstart.yaml"
SOURCES = [sys.executable, "-m", "hooks.dev", "run"]
EVENT = re.compile(r"^\d\d:\d\d:\d\d  hello  dev\.knative\.sample  (\{.*\})$", re.MULTILINE)


def sources_run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*SOURCES, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


def assert_one_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2, result
    assert result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert part in result.stderr


def test_the_quickstart_becomes_ready_and_its_events_arrive() -> None:
    result = sources_run(QUICKSTART, "--for", "6s")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("NAME    KIND          READY    REASON ")
    assert re.search(r"^hello   SampleSource  Unknown  \w+ ", result.stdout, re.MULTILINE), result.stdout
    assert re.search(r"^hello   SampleSource  True     +http://event-display\.default", result.stdout, re.MULTILINE)
    events = [json.loads(data) for data in EVENT.findall(result.stdout)]
    assert len(events) >= 2, result.stdout
    first = events[0]["sequence"]
    assert events == [{"sequence": first + n, "heartbeat": "1s"} for n in range(len(events))]
    assert f"hello: {len(events)} events arrived; its adapter's exit code: 0" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_drains_and_reports(number: signal.Signals) -> None:
    process = subprocess.Popen([*SOURCES, str(QUICKSTART)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    deadline = threading.Timer(40, process.kill)
    deadline.start()
    try:
        assert process.stdout is not None
        seen = ""
        while line := process.stdout.readline():  # until the first event, the deadline or the end
            seen += line
            if EVENT.match(line):
                break
        process.send_signal(number)
        seen += process.stdout.read()
        assert process.wait() == 0, seen
        assert re.search(r"^hello: [1-9]\d* events arrived; its adapter's exit code: 0$", seen, re.MULTILINE), seen
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def test_a_missing_file_is_one_line() -> None:
    assert_one_line(sources_run("no-such.yaml"), "no-such.yaml: No such file or directory")


def test_broken_yaml_names_its_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("apiVersion: v1\nkind: [Service\nmetadata: {}\n")
    assert_one_line(sources_run(broken), f"{broken}:3: broken YAML")


def test_a_document_that_is_no_object_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("- 1\n")
    assert_one_line(sources_run(file), "not a Kubernetes object")


def test_a_deployment_without_a_container_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "deployment.yaml"
    file.write_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n")
    assert_one_line(sources_run(file), "Deployment a needs spec.template.spec.containers")


def test_a_file_without_a_source_says_so(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: a}\n")
    assert_one_line(sources_run(file), "no source in it")


def test_an_unknown_kind_lists_those_there_are(tmp_path: Path) -> None:
    file = tmp_path / "unknown.yaml"
    file.write_text(QUICKSTART.read_text().replace("kind: SampleSource", "kind: TelepathySource"))
    assert_one_line(
        sources_run(file), 'kind is "TelepathySource"', "there are: PollSource, SampleSource, WebhookSource"
    )


def test_a_port_in_use_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert_one_line(sources_run(QUICKSTART, "--port", str(port)), f"port {port} is in use")


def test_a_duration_without_unit_is_refused() -> None:
    result = sources_run(QUICKSTART, "--for", "6")
    assert result.returncode == 2
    assert "missing unit in duration" in result.stderr


def test_a_missing_service_is_a_condition_not_an_error(tmp_path: Path) -> None:
    file = tmp_path / "no-service.yaml"
    file.write_text(QUICKSTART.read_text().split("---")[-1])
    result = sources_run(file, "--for", "2s")
    assert result.returncode == 0, result
    assert re.search(r"^hello   SampleSource  False    NotFound ", result.stdout, re.MULTILINE), result.stdout
    assert "hello: 0 events arrived; no adapter ran" in result.stdout


def test_a_spec_the_api_server_would_refuse_is_one_line_with_its_place(tmp_path: Path) -> None:
    file = edited(tmp_path, "interval: 1s", "interval: soon")
    line = file.read_text().splitlines().index("  interval: soon") + 1
    said = f'edited.yaml:{line}: SampleSource hello: spec.interval: Invalid value: "soon": write a duration'
    assert_one_line(sources_run(file, "--for", "2s"), said)


def test_a_crashing_adapter_shows_its_line_and_starts_again_later_and_later(tmp_path: Path) -> None:
    look_alike = 'sink:\n    CACerts: "-----BEGIN CERTIFICATE-----\\nMIIB\\n-----END CERTIFICATE-----"'
    result = sources_run(edited(tmp_path, "sink:", look_alike), "--for", "6s")
    said = re.findall(
        r"^hello: process exited with code 2: (.*) \(starts again in (\d+)s\)$", result.stderr, re.MULTILINE
    )
    assert [seconds for _, seconds in said][:2] == ["1", "2"], result.stderr
    assert "K_CA_CERTS" in said[0][0]
    assert re.search(r"^hello   SampleSource  False    ProgressDeadlineExceeded ", result.stdout, re.MULTILINE)
    assert "Traceback" not in result.stdout + result.stderr


def test_once_stops_at_the_first_event_of_a_ready_source() -> None:
    result = sources_run(QUICKSTART, "--once")
    assert (result.returncode, result.stderr) == (0, "")
    assert EVENT.search(result.stdout), result.stdout


def test_once_without_an_event_in_time_is_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "no-service.yaml"
    file.write_text(QUICKSTART.read_text().split("---")[-1])
    assert sources_run(file, "--once", "--for", "2s").returncode == 1


def test_a_sink_given_on_the_command_line_wins() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/in"
        result = sources_run(QUICKSTART, "--sink", url, "--for", "3s")
    assert url in result.stdout
    assert "hello: 0 events arrived" in result.stdout


def test_a_sink_that_is_no_url_is_refused() -> None:
    result = sources_run(QUICKSTART, "--sink", "here")
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert '"here" is not an absolute http(s) URL' in result.stderr


def test_an_edit_rolls_out_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file = edited(tmp_path, "interval: 1s", "interval: 200ms")
    with running(file) as process:
        read_until(process, r"SampleSource  True ")
        read_until(process, r'"heartbeat": "200ms"')
        good = file.read_text()
        file.write_text("kind: [")
        read_until(process, r"not applied: .*broken YAML", stream="stderr")
        file.write_text(good.replace("interval: 200ms", "interval: 300ms"))
        seen = read_until(process, r'"heartbeat": "300ms"')
        assert '"heartbeat": "200ms"' in seen  # the old adapter went on meanwhile
        assert "AdapterUpdating" in seen
        assert "AdapterStarting" not in seen  # which is what nobody available is called
        if not re.search(r"SampleSource  True ", seen.split("AdapterUpdating")[1]):
            read_until(process, r"SampleSource  True ")
        file.write_text(good.replace("interval: 200ms", "interval: soon"))
        read_until(process, r"not applied: .*spec\.interval: Invalid value", stream="stderr")
        read_until(process, r'"heartbeat": "300ms"')
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def edited(directory: Path, old: str, new: str) -> Path:
    text = QUICKSTART.read_text()
    assert old in text
    file = directory / "edited.yaml"
    file.write_text(text.replace(old, new))
    return file


@contextmanager
def running(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*SOURCES, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    deadline = threading.Timer(60, process.kill)
    deadline.start()
    try:
        yield process
    finally:
        deadline.cancel()
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], pattern: str, *, stream: str = "stdout") -> str:
    """Everything up to the line that matches; the timer of ``running`` is the deadline."""
    seen = ""
    while line := getattr(process, stream).readline():
        seen += line
        if re.search(pattern, line):
            return seen
    raise AssertionError(f"no line matched {pattern!r} in: {seen}")


DELIVERY = """  delivery:
    retry: 1
    backoffDelay: PT0.01S
    deadLetterSink:
      ref: {apiVersion: v1, kind: Service, name: event-display}
  sink:
    uri: http://127.0.0.1:9/refused
    audience: me
"""


def test_retries_and_dead_letters_are_shown(tmp_path: Path) -> None:
    text = QUICKSTART.read_text()
    file = tmp_path / "dead.yaml"
    file.write_text(text[: text.rindex("  sink:")] + DELIVERY)
    result = sources_run(file, "--for", "5s")
    assert result.returncode == 0, result
    assert re.search(r"^hello: attempt to deliver failed; will retry: ConnectError", result.stderr, re.MULTILINE)
    assert re.search(r"^hello: event went to the dead letter sink: ConnectError", result.stderr, re.MULTILINE)
    shown = r"dead letter: http://127\.0\.0\.1:9/refused answered 500$"
    assert re.search(shown, result.stdout, re.MULTILINE), result.stdout
    assert "Traceback" not in result.stderr


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
            r" +Deployment \S+ is unavailable: not ready: \d+ polls in a row failed: answered 500\n", said
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
        context.trouble("waits for a licence")
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_killed_without_a_chance_to_drain_it_leaves_no_adapter_behind(tmp_path: Path) -> None:
    with running(edited(tmp_path, "interval: 1s", "interval: 2s")) as process:
        read_until(process, r"SampleSource  True ")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 3  # hook, display, adapter
        process.kill()
        process.wait()
        wait_until(lambda: not any(alive(int(child)) for child in children), "the end of all", lambda: children)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False

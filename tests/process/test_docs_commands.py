"""The commands of the documentation do what the pages say."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml

from adapter.model.traces import traceparent_of
from adapter.sdk import Event
from hooks.settings import read_settings
from tests.installed import environ_with
from tests.pages import ROOT, blocks, commands, page, page_names
from tests.process.harness import DEADLINE_S, running_hook


def command_of(name: str, pattern: str) -> re.Match[str]:
    found = re.search(rf"^\$ {pattern}$", page(name), re.MULTILINE)
    assert found, f"{name} has no command {pattern}"
    return found


def shell(command: str, directory: Path, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    words = ["bash", "-c", command]
    return subprocess.run(
        words, cwd=directory, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def test_the_curl_call_gets_a_deployment_and_a_status() -> None:
    call = command_of("docs/reference/hook-protocol.md", "(curl .*)")
    with running_hook() as hook:
        command = shlex.split(call[1].replace("http://127.0.0.1:8080", hook.url))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    answer = json.loads(done.stdout)
    assert [child["kind"] for child in answer["children"]] == ["Deployment"]
    assert answer["status"]["ceAttributes"][0]["type"] == "dev.knative.sample"


def test_the_hook_starts_with_the_settings_of_the_page() -> None:
    command = command_of("docs/reference/hook-protocol.md", r"ADAPTER_IMAGE=(\S+) (\S+) -m hooks")
    assert read_settings({"ADAPTER_IMAGE": command[1]}).adapter_image == command[1]
    assert command[2] == ".venv/bin/python"


def test_the_shell_computes_the_trace_of_an_event() -> None:
    [block] = blocks("docs/tracing.md", "## In each event")
    traceparent = traceparent_of(Event(type="t", id="1"), "/s")
    assert shell(block.commands[0], ROOT).stdout == f"{traceparent}\n"
    assert block.text.endswith(f"\n{traceparent}\n")


def test_make_run_shows_events() -> None:
    """Waits for the first event, then sends Ctrl-C to all processes of the terminal."""
    process = subprocess.Popen(["make", "run"], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    deadline = threading.Timer(2 * DEADLINE_S, os.killpg, (process.pid, signal.SIGKILL))
    deadline.start()
    try:
        assert process.stdout
        seen = ""
        while line := process.stdout.readline():
            seen += line
            if "dev.knative.sample" in line:
                break
        os.killpg(process.pid, signal.SIGINT)
        seen += process.stdout.read()
    finally:
        deadline.cancel()
        process.communicate()
    assert re.search(r"^hello: [1-9]\d* events? arrived; its adapter's exit code: 0$", seen, re.MULTILINE), seen


def test_every_make_target_of_the_pages_exists() -> None:
    text = "".join(map(page, page_names()))
    targets = set(re.findall(r"^\$ make ([\w-]+)", text, re.MULTILINE)) | set(re.findall(r"`make ([\w-]+)`", text))
    makefile = set(re.findall(r"^([a-z][\w-]*): .*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets == makefile
    for target in sorted(targets):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=True)


def test_sources_run_stops_by_itself(tmp_path: Path) -> None:
    command = command_of("docs/run-locally.md", "(sources run --for .*)")
    done = shell(command[1], ROOT, environ_with(tmp_path / "site"))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    assert re.search(r"^hello: [1-9]\d* events? arrived; its adapter's exit code: 0$", done.stdout, re.MULTILINE)


def test_render_and_the_help_of_the_display_work(tmp_path: Path) -> None:
    environ = environ_with(tmp_path / "site")
    render = command_of("docs/run-locally.md", "(sources render .*)")
    done = shell(render[1], ROOT, environ)
    assert done.returncode == 0, done.stderr
    [answer] = [document for document in yaml.safe_load_all(done.stdout) if document]
    assert [child["kind"] for child in answer["children"]] == ["Deployment"]
    display = command_of("docs/run-locally.md", r"(python -m adapter\.display --help)")
    assert "--flaky" in shell(display[1], ROOT, environ).stdout


def test_lint_prints_what_the_page_shows(tmp_path: Path) -> None:
    quickstart = (ROOT / "metacontroller/samples/quickstart.yaml").read_text().split("---\n")[-1]
    (tmp_path / "bad.yaml").write_text(quickstart.replace("interval: 1s", 'interval: "10"'))
    words = [sys.executable, "-m", "sources_cli", "lint", "bad.yaml"]
    environ = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    shown = page("docs/run-locally.md").partition("$ sources lint bad.yaml\n")[2].partition("\n```")[0]
    assert re.sub(r":\d+:", ":N:", done.stdout.strip(), count=1) == re.sub(r":\d+:", ":N:", shown, count=1)


def test_sink_kinds_reach_hook_and_role(tmp_path: Path) -> None:
    command = command_of("docs/install.md", "(sources manifests adapter.sources.sample_source .*)")
    done = shell(command[1], tmp_path, environ_with(tmp_path / "site"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "sinkKinds=v1/Service,eventing.knative.dev/v1/Broker" in (tmp_path / "DIR/controller.yaml").read_text()
    assert "brokers" in (tmp_path / "DIR/rbac.yaml").read_text()


def test_file_of_defaults_reaches_the_hook(tmp_path: Path) -> None:
    name, section = "docs/pod-settings.md", "### For a cluster"
    command = command_of(name, r"(sources manifests \S+ -o (\S+) --adapter-defaults (\S+) --copied-labels (\S+))")
    [file] = [block.text for block in blocks(name, section) if block.language == "yaml"]
    (tmp_path / command[3]).write_text(file)
    done = shell(command[1], tmp_path, environ_with(tmp_path / "site"))
    assert (done.returncode, done.stderr) == (0, "")
    hooks = yaml.safe_load((tmp_path / command[2] / "controller.yaml").read_text())["spec"]["hooks"]
    query = parse_qs(urlsplit(hooks["sync"]["webhook"]["path"]).query)
    assert json.loads(query["adapter"][0]) == yaml.safe_load(file)
    assert query["copiedLabels"] == [command[4]]
    assert not {"adapter", "copiedLabels"} & parse_qs(urlsplit(hooks["customize"]["webhook"]["path"]).query).keys()


def test_the_settings_name_the_image() -> None:
    text = "\n".join(block.text for block in blocks("docs/install.md", "## Build the image"))
    assert set(re.findall(r"\S+/sample-source:\S+", text)) == {"registry.example.com/sample-source:v1"}
    settings = yaml.safe_load((ROOT / "metacontroller/settings/settings.yaml").read_text())
    assert settings["data"]["image"] == "registry.local/sample-source:dev"


def test_own_kind_commands_work_in_an_empty_directory(tmp_path: Path) -> None:
    """All commands that need neither a cluster nor Docker, one after the other."""
    typed = commands("docs/write-a-source.md", "## From an empty directory to the cluster")
    environ = environ_with(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    for command in [line for line in typed if not line.startswith(("docker", "kubectl"))]:
        done = shell(command, tmp_path / "empty", environ)
        assert (done.returncode, done.stderr) == (0, ""), f"{command}: {done.stdout}{done.stderr}"
    [built] = re.findall(r"^docker build -t (\S+) \.$", "\n".join(typed), re.MULTILINE)
    assert f"&image={built}&" in (tmp_path / "empty/manifests/doorbell_source/controller.yaml").read_text()
    dockerfile = next(block for block in blocks("docs/write-a-source.md") if block.language == "dockerfile")
    assert (tmp_path / "empty/Dockerfile").read_text() == dockerfile.text
    assert [line.split()[:2] for line in typed if line.startswith("sources")] == [
        ["sources", name] for name in ("new", "manifests", "lint", "run", "image")
    ]


def test_the_loop_makes_the_manifests_of_each_kind(tmp_path: Path) -> None:
    line = command_of("docs/write-a-source.md", "(for kind in .*)")
    environ = environ_with(tmp_path / "site")
    for command in ("sources new OneSource", "sources new TwoSource --poll", line[1]):
        done = shell(command, tmp_path, environ)
        assert done.returncode == 0, done.stderr
    assert sorted(str(file.relative_to(tmp_path)) for file in tmp_path.glob("manifests/*/crd.yaml")) == [
        "manifests/one_source/crd.yaml",
        "manifests/two_source/crd.yaml",
    ]

"""The README's commands do what it says, and its tables say what the code reads."""

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
from typing import Any

from _pytest.fixtures import FixtureFunctionDefinition

from adapter import sdk, testing
from adapter.contract.environment import AdapterEnv
from hooks.conditions import Reason
from hooks.settings import read_settings
from tests.installed import environ_with
from tests.process.harness import DEADLINE_S, running_hook

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_the_curl_call_of_the_readme_gets_a_deployment_and_a_status() -> None:
    call = re.search(r"^\$ (curl .*)$", README, re.MULTILINE)
    assert call
    with running_hook() as hook:
        command = shlex.split(call.group(1).replace("http://127.0.0.1:8080", hook.url))
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    answer = json.loads(done.stdout)
    assert [child["kind"] for child in answer["children"]] == ["Deployment"]
    assert answer["status"]["ceAttributes"][0]["type"] == "dev.knative.sample"


def test_make_run_shows_events() -> None:
    """Like a person: until the first event, then Ctrl-C to all of the terminal's processes."""
    process = subprocess.Popen(["make", "run"], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    deadline = threading.Timer(50, os.killpg, (process.pid, signal.SIGKILL))
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


def test_every_make_command_of_the_readme_is_there() -> None:
    commands = re.findall(r"^\$ make ([\w-]+)", README, re.MULTILINE)
    assert {"run", "test", "check", "bench", "lock"} <= set(commands)
    for target in commands:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, check=True)


def test_the_readme_starts_the_hook_as_it_starts() -> None:
    command = re.search(r"^\$ ADAPTER_IMAGE=(\S+) (\S+) -m hooks$", README, re.MULTILINE)
    assert command
    assert read_settings({"ADAPTER_IMAGE": command.group(1)}).adapter_image == command.group(1)
    assert command.group(2) == ".venv/bin/python"


def test_the_options_of_run_are_those_of_the_readme() -> None:
    usage = subprocess.run(
        [sys.executable, "-m", "sources_cli", "run", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    section = README.partition("`sources run FILE…`:")[2].partition("\n\n##")[0]
    listed = set(re.findall(r"^\| `(--[a-z]+)", section, re.MULTILINE))
    assert listed == set(re.findall(r"^  (--[a-z]+)", usage, re.MULTILINE))


def test_the_own_kind_of_the_readme_is_the_one_under_test() -> None:
    block = README.partition("```python\n")[2].partition("```")[0]
    assert block == (ROOT / "tests/kinds/queue_depth_source.py").read_text()


def test_the_commands_of_the_readme_make_test_and_run_an_own_kind(tmp_path: Path) -> None:
    """All that need no cluster and no Docker, one after the other in an empty directory."""
    section = README.partition("## Your own kind")[2].partition("```console\n")[2].partition("```")[0]
    commands = re.findall(r"^\$ (.*)$", section, re.MULTILINE)
    environ = environ_with(tmp_path / "site")
    (tmp_path / "empty").mkdir()
    for command in [it for it in commands if not it.startswith(("docker", "kubectl"))]:
        words = ["bash", "-c", command]
        done = subprocess.run(
            words, cwd=tmp_path / "empty", env=environ, capture_output=True, text=True, timeout=50, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{command}: {done.stdout}{done.stderr}"
    [built] = re.findall(r"^docker build -t (\S+) \.$", "\n".join(commands), re.MULTILINE)
    assert f"&image={built}&" in (tmp_path / "empty/manifests/doorbell_source/controller.yaml").read_text()
    dockerfile = README.partition("```dockerfile\n")[2].partition("```")[0]
    assert (tmp_path / "empty/Dockerfile").read_text() == dockerfile
    assert [it.split()[:2] for it in commands if it.startswith("sources")] == [
        ["sources", name] for name in ("new", "manifests", "lint", "run", "image")
    ]


def test_the_line_of_the_readme_makes_the_manifests_of_each_kind_of_a_package(tmp_path: Path) -> None:
    line = re.search(r"^\$ (for it in .*)$", README, re.MULTILINE)
    assert line
    environ = environ_with(tmp_path / "site")
    for command in ("sources new OneSource", "sources new TwoSource --poll", line[1]):
        subprocess.run(["bash", "-ec", command], cwd=tmp_path, env=environ, capture_output=True, timeout=50, check=True)
    assert sorted(str(it.relative_to(tmp_path)) for it in tmp_path.glob("manifests/*/crd.yaml")) == [
        "manifests/one_source/crd.yaml",
        "manifests/two_source/crd.yaml",
    ]


def test_the_fixtures_of_the_readme_are_the_plugins() -> None:
    section = README.partition("### Test your kind")[2].partition("\n##")[0]
    listed = set(re.findall(r"^\| `([a-z]+)", section, re.MULTILINE))
    here = {name for name, it in vars(testing).items() if isinstance(it, FixtureFunctionDefinition)}
    assert listed == here
    assert set(section.partition("import ")[2].partition("`")[0].split(", ")) <= set(testing.__all__)


def overridable(cls: type[sdk.Source]) -> set[str]:
    """The public names a base class defines or annotates itself."""
    return {it for it in {*vars(cls), *cls.__annotations__} if not it.startswith(("_", "model_"))}


def test_what_a_class_may_override_is_what_the_readme_lists() -> None:
    section = README.partition("#### What a class may say")[2].partition("\n\nAn `Event`")[0]
    listed: dict[str, set[str]] = {}
    for base, names in re.findall(r"^\| `(\w+)` \| (`.*?) \|", section, re.MULTILINE):
        listed.setdefault(base, set()).update(re.findall(r"`(\w+)", names))
    shared = overridable(sdk.Source)
    assert listed["Source"] == shared | {"max_in_flight"}
    for cls in (sdk.Timer, sdk.Poller, sdk.Listener):
        assert listed[cls.__name__] == overridable(cls) - shared, cls.__name__


def test_lint_says_what_the_readme_shows(tmp_path: Path) -> None:
    quickstart = (ROOT / "metacontroller/samples/quickstart.yaml").read_text().split("---\n")[-1]
    (tmp_path / "bad.yaml").write_text(quickstart.replace("interval: 1s", 'interval: "10"'))
    words = [sys.executable, "-m", "sources_cli", "lint", "bad.yaml"]
    environ = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=50, check=False)
    shown = README.partition("$ sources lint bad.yaml\n")[2].partition("\n```")[0]
    assert re.sub(r":\d+:", ":N:", done.stdout.strip(), count=1) == re.sub(r":\d+:", ":N:", shown, count=1)


class Recorded(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def table_of(heading: str) -> set[str]:
    section = README.partition(f"{heading}\n")[2].partition("\n##")[0].partition("\n| exit code")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)}


def test_the_settings_table_is_what_the_hook_reads() -> None:
    environ = Recorded({"ADAPTER_IMAGE": "a:1"})
    read_settings(environ)
    assert table_of("### Settings of the hook") == environ.asked


def test_the_environment_table_is_what_the_adapter_reads() -> None:
    environ = Recorded({"K_SINK": "http://h"})
    AdapterEnv.from_environ(environ)
    assert table_of("## Environment of an adapter") == {name for name in environ.asked if "SECRET" not in name}


def test_every_reason_of_the_hook_is_in_the_readme() -> None:
    table = README.partition("## Conditions")[2].partition("\n##")[0]
    assert {reason for reason in Reason if f"`{reason}`" not in table} <= {Reason.POD_FAILED}

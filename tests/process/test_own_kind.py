"""A user's own kind, from an empty directory to its first event: module, manifests, lint, run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from adapter.loading import module_name
from tests.deadline import DEADLINE_S
from tests.process.harness import free_port
from tests.process.sources import ROOT, sources

MODULE = ROOT / "tests/kinds/queue_depth_source.py"
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "queue-depth-source"},
    "stringData": {"token": "hush-hush"},
}


def prepared(directory: Path) -> Path:
    """Creates the module, its manifests, and a file to run: its sample, a Secret and a sink."""
    (directory / "kinds").mkdir()
    shutil.copy(MODULE, directory / "kinds/queue_depth_source.py")
    made = sources("manifests", "kinds/queue_depth_source.py", "-o", "manifests", cwd=directory)
    assert (made.returncode, made.stderr) == (0, "")
    sample = yaml.safe_load((directory / "manifests/sample.yaml").read_text())
    sample["spec"] |= {"interval": "200ms", "warnAt": 1}
    display, service, _ = yaml.safe_load_all((ROOT / "metacontroller/samples/quickstart.yaml").read_text())
    (directory / "all.yaml").write_text(yaml.safe_dump_all([SECRET, sample, display, service]))
    return directory


def test_module_imports_only_the_sdk_and_has_thirty_lines() -> None:
    lines = [line for line in MODULE.read_text().splitlines() if line.strip()]
    assert len(lines) <= 30
    assert [line for line in lines if re.match(r"(from|import) ", line)] == [
        "from adapter.sdk import Event, EventType, Field, SecretText, Timer"
    ]


def test_event_carries_field_secret_and_event_type(tmp_path: Path) -> None:
    directory = prepared(tmp_path)
    linted = sources("lint", "--package", "kinds", "all.yaml", cwd=directory)
    assert (linted.returncode, linted.stdout) == (0, "1 source, no problems\n"), linted.stderr
    ran = sources("run", "--package", "kinds", "--once", "all.yaml", cwd=directory)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    assert re.search(r"^queue-depth +QueueDepthSource +True ", ran.stdout, re.MULTILINE), ran.stdout
    event = re.search(r"  queue-depth  com\.example\.queue\.depth  (\{.*\})$", ran.stdout, re.MULTILINE)
    assert event, ran.stdout
    data = json.loads(event[1])
    assert data == {"queue": "orders", "depth": data["depth"], "warns": True}
    assert data["depth"] >= len("hush-hush")
    assert "hush-hush" not in ran.stdout + ran.stderr


def test_rendered_deployment_references_the_secret_without_its_value(tmp_path: Path) -> None:
    rendered = sources("render", "--package", "kinds", "-o", "json", "all.yaml", cwd=prepared(tmp_path))
    assert rendered.returncode == 0, rendered.stderr
    answer = json.loads(rendered.stdout)
    [container] = answer["children"][0]["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry for entry in container["env"]}
    reference = {"secretKeyRef": {"key": "token", "name": "queue-depth-source"}}
    assert env["SOURCE_SECRET_0"] == {"name": "SOURCE_SECRET_0", "valueFrom": reference}
    config = {"queue": "orders", "token": {"$env": "SOURCE_SECRET_0"}, "warnAt": 1}
    config |= {"missed": "skip", "missedWindow": "1h0m0s"}
    assert json.loads(env["SOURCE_CONFIG"]["value"]) == config
    assert env["SOURCE_KIND"]["value"] == "QueueDepthSource"
    assert [attributes["type"] for attributes in answer["status"]["ceAttributes"]] == ["com.example.queue.depth"]
    assert "hush" not in rendered.stdout


def test_mistake_in_a_field_of_the_kind_is_found_before_it_runs(tmp_path: Path) -> None:
    directory = prepared(tmp_path)
    text = (directory / "all.yaml").read_text().replace("warnAt: 1", "warnAt: 0")
    (directory / "all.yaml").write_text(text)
    line = text.splitlines().index("  warnAt: 0") + 1
    message = "spec.warnAt: Invalid value: 0: must be at least 1"
    linted = sources("lint", "--package", "kinds", "all.yaml", cwd=directory)
    assert linted.stdout == f"all.yaml:{line}: QueueDepthSource default/queue-depth: {message}\n"
    ran = sources("run", "--package", "kinds", "--once", "all.yaml", cwd=directory)
    assert (ran.returncode, ran.stderr) == (2, f"sources: all.yaml:{line}: QueueDepthSource queue-depth: {message}\n")


def test_kind_is_unknown_without_its_package(tmp_path: Path) -> None:
    ran = sources("run", "--once", "all.yaml", cwd=prepared(tmp_path))
    assert ran.returncode == 2
    assert ran.stderr == (
        'sources: all.yaml:9: kind is "QueueDepthSource": adapter.sources has no such kind; '
        "there are: CronSource, PollSource, SampleSource, WebhookSource\n"
    )


def test_installed_command_finds_kinds_below_the_working_directory(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("sources"), "lint", "--package", "kinds", "all.yaml"]
    done = subprocess.run(
        command, cwd=prepared(tmp_path), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert (done.returncode, done.stdout) == (0, "1 source, no problems\n"), done.stderr


PICKY = '''"""A kind whose own check fails."""

from adapter.sdk import Field, SecretText, Timer


class PickySource(Timer):
    """Rejects its secret."""

    token: SecretText = Field(description="A secret.")

    def model_post_init(self, _: object) -> None:
        raise RuntimeError(f"no {self.token.get_secret_value()}")
'''


def test_error_of_a_check_is_not_shown_if_it_might_contain_a_secret(tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/picky_source.py").write_text(PICKY)
    own = {
        "SOURCES_PACKAGE": "kinds",
        "SOURCE_KIND": "PickySource",
        "SOURCE_CONFIG": '{"token":{"$env":"SOURCE_SECRET_0"}}',
    }
    env = {
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "K_SINK": "http://h",
        "EVENT_SOURCE": "/a/b",
        "SOURCE_SECRET_0": "hush",
        **own,
    }
    done = subprocess.run(
        [sys.executable, "-m", "adapter"], env=env, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 2
    reason = "a value from a Secret or ConfigMap is not valid (RuntimeError); check that it is complete"
    assert done.stderr == f"SOURCE_CONFIG is an object with the key token: {reason}\n"
    assert "hush" not in done.stderr


LEAKING = '''from adapter.sdk import Event, Field, SecretText, Timer


class LeakingSource(Timer):
    """Raises an error that repeats its secret, as an HTTP library does with a URL."""

    token: SecretText = Field(description="A secret.")

    def tick(self, n: int) -> Event:
        raise ValueError(f"no answer from http://h/?token={self.token.get_secret_value()}")
'''


def test_log_of_a_failed_source_has_no_secret(tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/leaking_source.py").write_text(LEAKING)
    env = {
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "SOURCES_PACKAGE": "kinds",
        "EVENT_SOURCE": "/leaking",
        "SOURCE_KIND": "LeakingSource",
        "SOURCE_CONFIG": '{"token":{"$env":"SOURCE_SECRET_0"}}',
        "SOURCE_SECRET_0": "hush-hush\n",
        "K_SINK": "http://h",
        "INTERVAL": "100ms",
        "HEALTH_PORT": str(free_port()),
    }
    done = subprocess.run(
        [sys.executable, "-m", "adapter"], env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stderr.splitlines()[-1])["error"] == "ValueError: no answer from http://h/?token=(secret)"
    assert "hush-hush" not in done.stderr


HIDING = '''from adapter.sdk import Field, Timer


class HidingSource(Timer):
    """Has a field that shadows a method of pydantic."""

    copy: str = Field("", description="A name that pydantic uses.")
'''


def test_field_that_shadows_a_method_is_one_line_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "kinds").mkdir()
    (tmp_path / "kinds/hiding_source.py").write_text(HIDING)
    own = {"SOURCES_PACKAGE": "kinds", "SOURCE_KIND": "HidingSource", "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-m", "adapter"],
        env={"K_SINK": "http://h", "EVENT_SOURCE": "/a/b", **own},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    message = 'TypeError: HidingSource.copy: "copy" is an attribute of the class Timer; choose another name'
    assert json.loads(line)["error"] == message


def test_invalid_api_version_of_a_kind_is_one_line(tmp_path: Path) -> None:
    directory = prepared(tmp_path)
    module = directory / "kinds/queue_depth_source.py"
    module.write_text(module.read_text().replace("queues.example.com/v1", "v1"))
    ran = sources("run", "--package", "kinds", "all.yaml", cwd=directory)
    message = 'TypeError: QueueDepthSource.api_version is "v1": write group/version like example.com/v1'
    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.fullmatch(
        rf"sources: kinds\.queue_depth_source cannot be loaded: {message} \(queue_depth_source\.py:\d+\)\n", ran.stderr
    )


FAILING = '''from adapter.sdk import Event, Field, SecretText, Timer


class FailingSource(Timer):
    """Fails with its secret in the message."""

    token: SecretText = Field(description="A secret.")

    async def events(self, context):
        yield Event("t", int(self.token.get_secret_value(), base=10))
'''


WRONG = """from adapter.sdk import Timer


class WrongSource(Timer):
    \"\"\"Returns no event.\"\"\"

    def tick(self, n):
        return {"type": "t"}
"""


def failed_source(directory: Path, kind: str, code: str, **environ: str) -> tuple[dict[str, Any], str]:
    """The last line of the log of an adapter whose source fails, and its whole stderr."""
    (directory / "kinds").mkdir()
    (directory / f"kinds/{module_name(kind)}.py").write_text(code)
    env = {
        "PYTHONPATH": f"{ROOT}:{directory}",
        "K_SINK": "http://h",
        "EVENT_SOURCE": "/a/b",
        "SOURCES_PACKAGE": "kinds",
        "SOURCE_KIND": kind,
        "HEALTH_PORT": str(free_port()),
        **environ,
    }
    done = subprocess.run(
        [sys.executable, "-m", "adapter"], env=env, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 1
    return json.loads(done.stderr.splitlines()[-1]), done.stderr


def test_log_of_a_failing_source_names_the_authors_line_and_no_secret(tmp_path: Path) -> None:
    config = {"SOURCE_CONFIG": '{"token":{"$env":"SOURCE_SECRET_0"}}', "SOURCE_SECRET_0": "hush-hush"}
    line, errors = failed_source(tmp_path, "FailingSource", FAILING, **config)
    assert line["at"] == "failing_source.py:10"
    assert line["error"] == "ValueError: invalid literal for int() with base 10: '(secret)'"
    assert "hush" not in errors


def test_log_names_the_method_that_returned_no_event(tmp_path: Path) -> None:
    line, _ = failed_source(tmp_path, "WrongSource", WRONG)
    assert line["at"] == "wrong_source.py:7"
    assert line["error"] == "TypeError: tick() of WrongSource returned dict; return an Event"

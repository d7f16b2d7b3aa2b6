"""``sources explain``, ``list`` and ``events`` read a real API server with the rights of the user."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from sources_cli.cluster.commands import events
from sources_cli.cluster.reader import Access
from sources_cli.problem import Problem
from tests.cluster.access import create_account
from tests.cluster.api import Object, eventually
from tests.cluster.explained import explained, reasons
from tests.cluster.local_cluster import KIND
from tests.cluster.namespace import SourceNamespace
from tests.deadline import DEADLINE_S

ROOT = Path(__file__).resolve().parents[2]
SINK = {"uri": "http://there.example.com"}


@pytest.fixture
def ready(ns: SourceNamespace) -> SourceNamespace:
    """With a source ``hello`` that is ready. kwok runs no programs, so the log of its pod cannot be read."""
    ns.source(sink=SINK)
    ns.wait_until_ready()
    return ns


def run(command: list[str], ns: SourceNamespace, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    options = ["--kubeconfig", str(ns.cluster.plane.kubeconfig), "-n", ns.name, "--timeout", "60s"]
    environ = {"PATH": path + os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    return subprocess.run(
        [*command, *words, *options], env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def sources(ns: SourceNamespace, *words: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "sources_cli"], ns, *words)


def test_commands_of_the_pages_explain_and_list_sources(ready: SourceNamespace) -> None:
    done = sources(ready, "explain", "samplesource/hello")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"✓ source      SampleSource {ready.name}/hello, READY is True" in done.stdout
    assert "Nothing is wrong. Checked: source, sink, controller, deployment, pod." in done.stdout
    assert "log of pod samplesource-hello-" in done.stdout.partition("Not known:")[2]
    listed = sources(ready, "list", "-o", "json")
    assert (listed.returncode, [row["name"] for row in json.loads(listed.stdout)]) == (0, ["hello"])


def test_kubectl_finds_the_command_as_its_plugin(ready: SourceNamespace, tmp_path: Path) -> None:
    """The plugin is the entry point that pyproject.toml declares."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["kubectl-sources"].partition(":")
    plugin = tmp_path / "kubectl-sources"
    plugin.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    kubectl = [str(ready.cluster.plane.binaries / "kubectl"), "sources"]
    path = f"{tmp_path}{os.pathsep}"
    assert run(kubectl, ready, "explain", "hello", path=path).returncode == 0
    wrong = run(kubectl, ready, "explain", "helo", path=path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith('kubectl sources: there is no source "helo" in namespace')


def test_source_that_metacontroller_has_not_seen_is_explained(ns: SourceNamespace) -> None:
    """Metacontroller does not run, and has no pod."""
    ns.cluster.metacontroller.stop()
    ns.source(sink=SINK)
    assert reasons(ns)[0] == "MetacontrollerNotRunning"


def test_user_who_may_read_only_sources_gets_notes_and_no_failure(ready: SourceNamespace) -> None:
    account = create_account(ready, f"{KIND.plural}.{KIND.group}-observer")
    kubeconfig = ready.cluster.plane.write_kubeconfig(f"observer-{ready.name}", ready.api.token(account, ready.name))

    def seen() -> object:
        found = explained(ready, kubeconfig=kubeconfig)
        return [finding.reason for finding in found.findings], found.notes

    notes = [
        f"{what}: you have no permission to read this" for what in ("Deployments", "ReplicaSets", "pods", "events")
    ]
    eventually(seen, lambda seen: seen == ([], notes), "no finding, and what the user may not read")


def test_suspended_source_names_the_command_that_resumes_it(ready: SourceNamespace) -> None:
    ready.edit(suspend=True)
    ready.wait_for_condition("Ready", "False", "Suspended")
    [found] = explained(ready).findings
    code, _, errors = ready.cluster.plane.kubectl(*shlex.split(found.command)[1:])
    assert (found.reason, code, errors) == ("Suspended", 0, "")
    ready.wait_until_ready()


def test_service_without_pods_and_deployment_without_a_secret_are_explained(ns: SourceNamespace) -> None:
    ns.service()
    reference = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "queue", "key": "token"}}}
    ns.source(adapter={"env": [reference]})
    ns.wait_until_ready()

    both = ["ObjectMissing", "SinkWithoutEndpoints"]
    eventually(lambda: reasons(ns), lambda seen: seen == both, "both faults")
    data: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "queue", "namespace": ns.name}}
    ns.api.create({**data, "stringData": {"token": "hidden"}})
    assert reasons(ns) == ["SinkWithoutEndpoints"]


def test_events_of_the_source_and_its_objects_are_in_the_order_of_time(
    ready: SourceNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    access = Access(ready.cluster.plane.kubeconfig, None, ready.name, limit_s=60)

    def printed() -> list[Object]:
        assert asyncio.run(events("ssrc/hello", access, "json", watch=False)) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    def kinds(found: list[Object]) -> set[str]:
        return {event["object"].partition("/")[0] for event in found}

    wanted = {"Deployment", "ReplicaSet", "Pod"}
    found = eventually(printed, lambda seen: kinds(seen) == wanted, "events of three objects")
    assert [event["last"] for event in found] == sorted(event["last"] for event in found)


def test_watch_prints_new_events_until_ctrl_c(ready: SourceNamespace) -> None:
    kubeconfig = str(ready.cluster.plane.kubeconfig)
    words = ["events", "--watch", "hello", "--kubeconfig", kubeconfig, "-n", ready.name, "--timeout", "60s"]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "sources_cli", *words],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        pod = ready.pods()[0]["metadata"]["name"]
        while f"Pod/{pod}  Scheduled: " not in process.stdout.readline():
            assert process.poll() is None
        ready.api.delete("v1", "pods", pod, ready.name)
        while "SuccessfulCreate" not in (line := process.stdout.readline()) or pod in line:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert (process.wait(DEADLINE_S), process.stderr.read()) == (130, "")


def test_unknown_kind_and_name_are_problems_that_suggest_another(ready: SourceNamespace) -> None:
    with pytest.raises(Problem, match=r"it has samplesource/hello; did you mean hello\?"):
        explained(ready, "helo")
    with pytest.raises(Problem, match=r"did you mean SampleSource\?"):
        explained(ready, kind="samplesorce")

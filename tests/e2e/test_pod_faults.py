"""`sources manifests --diagnose-pods`: the kubelet's reason for a failing pod is in the conditions within 30 s."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.api import eventually
from tests.cluster.local_cluster import ROOT
from tests.e2e.cluster import Cluster
from tests.e2e.namespace import RestrictedNamespace

SAMPLE, QUEUE = "adapter.sources.sample_source", "tests/kinds/queue_depth_source.py"
NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"
# Twelve processes of 12 MiB each exceed 128 MiB together. Each is smaller than the adapter, so the kernel kills the
# adapter.
TOO_MUCH = """
import os, time
for _ in range(12):
    if not os.fork():
        held = os.urandom(12 << 20)
        time.sleep(60)
time.sleep(60)
"""

Install = Callable[..., None]


@pytest.fixture
def install(cluster: Cluster, tmp_path: Path) -> Iterator[Install]:
    """Run `sources manifests` and `kubectl apply -k`. Teardown restores SampleSource and deletes other kinds."""
    own_kind = tmp_path / "own"

    def install(module: str, *options: str) -> None:
        output = own_kind if module == QUEUE else tmp_path / "sample"
        command = [
            sys.executable,
            "-m",
            "sources_cli",
            "manifests",
            module,
            "-o",
            str(output),
            "--diagnose-pods",
            *options,
        ]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        cluster.kubectl("apply", "-k", str(output))

    yield install
    cluster.kubectl("apply", "-k", "metacontroller/sources/sample_source")
    if own_kind.exists():
        cluster.kubectl("delete", "--ignore-not-found", "-k", str(own_kind))


def wait_for_fault(ns: RestrictedNamespace, reason: str) -> str:
    """Wait for the reason in Deployed and Ready; return their message, which names the pod."""
    message = ns.wait_for_condition("Deployed", "False", reason, deadline_s=30)["message"]
    assert ns.wait_for_condition("Ready", "False", reason)["message"] == message
    assert message.startswith(f"Pod {ns.name}/"), message
    return str(message)


def test_missing_image_sets_image_pull_back_off(ns: RestrictedNamespace, install: Install) -> None:
    install(SAMPLE, "--image", "registry.local/no-such-image:1")
    ns.source(sink={"uri": "http://sink.example.com"})
    message = wait_for_fault(ns, "ImagePullBackOff")
    assert 'cannot pull image "registry.local/no-such-image:1": ' in message
    assert message.endswith("; correct the image's name, or push it")


def test_crash_loop_reports_the_exit_message_and_does_not_change_on_restarts(
    ns: RestrictedNamespace, install: Install
) -> None:
    install(SAMPLE)
    ns.source(sink={"uri": "https://sink.example.com", "CACerts": NO_CERTIFICATE})
    message = wait_for_fault(ns, "CrashLoopBackOff")
    assert " exited with code 2: K_CA_CERTS is " in message
    assert "write PEM certificates" in message
    assert f"; see `kubectl logs --previous -n {ns.name} samplesource-hello-" in message
    condition = ns.condition("Deployed")

    def restarts() -> object:
        return ns.adapter()["status"]["containerStatuses"][0]["restartCount"]

    eventually(restarts, lambda count: count >= 2, "two restarts", deadline_s=60, details=ns.describe)
    assert ns.condition("Deployed") == condition


def test_out_of_memory_kill_reports_the_memory_limit(ns: RestrictedNamespace, install: Install) -> None:
    install(SAMPLE)
    ns.source(sink={"uri": "http://sink.example.com"})
    ns.wait_until_ready()
    exec = ["kubectl", "-n", ns.name, "exec", ns.adapter()["metadata"]["name"], "--"]
    with subprocess.Popen([*exec, "python", "-c", TOO_MUCH], stderr=subprocess.DEVNULL) as process:
        message = wait_for_fault(ns, "OOMKilled")
        process.kill()
    assert "needs more memory than its limit of 128Mi; have the source hold less at a time" in message
    ns.wait_until_ready()


@pytest.mark.parametrize(
    ("there", "words"),
    [
        pytest.param(None, 'secret "queue-token" not found', id="no Secret"),
        pytest.param({"other": "x"}, "couldn't find key token in Secret {}/queue-token", id="no such key in it"),
    ],
)
def test_missing_secret_or_key_is_reported(
    ns: RestrictedNamespace, install: Install, there: dict[str, str] | None, words: str
) -> None:
    install(QUEUE)
    ns.kubectl("wait", "--for=condition=Established", "crd/queuedepthsources.queues.example.com")
    if there:
        metadata = {"name": "queue-token", "namespace": ns.name}
        ns.api.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": there})
    ns = ns.for_named_kind("QueueDepthSource", "queues.example.com/v1")
    token = {"secretKeyRef": {"name": "queue-token", "key": "token"}}
    ns.source(queue="orders", token=token, sink={"uri": "http://sink.example.com"})
    message = wait_for_fault(ns, "CreateContainerConfigError")
    assert f"{words.format(ns.name)}; create what it needs in namespace {ns.name}" in message

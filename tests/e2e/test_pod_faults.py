"""`sources manifests --diagnose-pods`: the kubelet's reason for a failing pod is in the conditions within 30 s."""

from __future__ import annotations

import pytest

from tests.cluster.api import eventually
from tests.e2e.installation import QUEUE, SAMPLE, Install
from tests.e2e.namespace import RestrictedNamespace

NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n"


def test_missing_image_sets_image_pull_back_off(ns: RestrictedNamespace, install: Install) -> None:
    install(SAMPLE, "--image", "registry.local/no-such-image:1")
    ns.source(sink={"uri": "http://sink.example.com"})
    message = ns.wait_for_fault("ImagePullBackOff")
    assert 'cannot pull image "registry.local/no-such-image:1": ' in message
    assert message.endswith("; correct the image name, push the image, or set spec.adapter.imagePullSecrets")


def test_crash_loop_reports_the_exit_message_and_does_not_change_on_restarts(
    ns: RestrictedNamespace, install: Install
) -> None:
    install(SAMPLE)
    ns.source(sink={"uri": "https://sink.example.com", "CACerts": NO_CERTIFICATE})
    message = ns.wait_for_fault("CrashLoopBackOff")
    assert " exited with code 2: K_CA_CERTS is " in message
    assert "write PEM certificates" in message
    assert f"; see `kubectl logs --previous -n {ns.name} samplesource-hello-" in message
    condition = ns.condition("Deployed")

    def restarts() -> object:
        return ns.adapter()["status"]["containerStatuses"][0]["restartCount"]

    eventually(restarts, lambda count: count >= 2, "two restarts", details=ns.describe)
    assert ns.condition("Deployed") == condition


def test_out_of_memory_kill_reports_the_memory_limit(ns: RestrictedNamespace, install: Install) -> None:
    install(SAMPLE)
    ns.source(sink={"uri": "http://sink.example.com"})
    ns.wait_until_ready()
    with ns.exhausted_memory():
        message = ns.wait_for_fault("OOMKilled")
    assert "exceeded its memory limit of 128Mi; raise spec.adapter.resources.limits.memory" in message
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
    message = ns.wait_for_fault("CreateContainerConfigError")
    assert f"{words.format(ns.name)}; create the missing object in namespace {ns.name}" in message

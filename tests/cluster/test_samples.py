"""The sample of each kind in a cluster: installed and applied as a user would, and the environment of its adapter."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator

import httpx2
import pytest

from adapter.contract.environment import AdapterEnv
from adapter.loading import load_source
from tests.cluster.access import SECRETS, create_account, is_allowed, wait_until_allowed
from tests.cluster.adapters import deployment_of, environ_of, run_adapter
from tests.cluster.local_cluster import KIND, ROOT, LocalCluster, read_yaml
from tests.cluster.namespace import SourceNamespace
from tests.cluster.samples import SAMPLES, Sample, installed, kubectl_apply
from tests.process.harness import DEADLINE_S, display, listens, processes, wait_until

RESTRICTED = {"pod-security.kubernetes.io/warn": "restricted"}
EACH_SAMPLE = pytest.mark.parametrize("sample", [pytest.param(sample, id=sample.kind.name) for sample in SAMPLES])
EACH_LISTENING_SAMPLE = pytest.mark.parametrize(
    "sample", [pytest.param(sample, id=sample.kind.name) for sample in SAMPLES if sample.kind.listens]
)


@pytest.fixture(scope="module")
def ns(cluster: LocalCluster) -> Iterator[SourceNamespace]:
    """A namespace with the sink and with all objects of the sample files."""
    files = [ROOT / "metacontroller/samples/sink.yaml", *(sample.file for sample in SAMPLES)]
    listed = [document for file in files for document in read_yaml(file)]
    with installed(cluster, *(sample.kind for sample in SAMPLES if sample.kind != KIND)):  # KIND is installed already
        ns = SourceNamespace(cluster, f"t-{uuid.uuid4().hex[:8]}", RESTRICTED)
        for document in listed:
            assert document["metadata"]["namespace"] == "default"
            document["metadata"]["namespace"] = ns.name
        try:
            kubectl_apply(cluster, listed)
            yield ns
        finally:
            ns.close()


@EACH_SAMPLE
def test_sample_becomes_ready(ns: SourceNamespace, sample: Sample) -> None:
    status = ns.for_kind(sample.kind).wait_until_ready(sample.name)["status"]
    assert status["sinkUri"] == f"http://event-display.{ns.name}.svc.cluster.local"
    assert [attributes["type"] for attributes in status.get("ceAttributes", [])] == list(sample.kind.event_types)


@EACH_SAMPLE
def test_adapter_environment_loads_as_the_spec_of_the_sample(ns: SourceNamespace, sample: Sample) -> None:
    of_kind = ns.for_kind(sample.kind)
    of_kind.wait_until_ready(sample.name)
    source = load_source(AdapterEnv.from_environ(environ_of(of_kind, sample.name)))
    own = {name: value for name, value in sample.source["spec"].items() if name != "sink"}
    references = {name: value for name, value in own.items() if isinstance(value, dict) and "secretKeyRef" in value}
    expected = own | {
        name: secret_value(reference["secretKeyRef"], sample.secrets) for name, reference in references.items()
    }
    assert (type(source), source.model_dump()) == (
        sample.kind.source_class,
        sample.kind.source_class.model_validate(expected).model_dump(),
    )
    [container] = deployment_of(of_kind, sample.name)["spec"]["template"]["spec"]["containers"]
    assert [
        reference
        for reference in references.values()
        if reference not in [one.get("valueFrom") for one in container["env"]]
    ] == []


def secret_value(reference: dict[str, str], secrets: dict[str, dict[str, str]]) -> str:
    return secrets[reference["name"]][reference["key"]]


@EACH_SAMPLE
def test_metacontroller_role_allows_the_needed_resources_and_no_secrets(ns: SourceNamespace, sample: Sample) -> None:
    kind = sample.kind
    account = create_account(ns, f"{kind.plural}.{kind.group}-metacontroller")
    wait_until_allowed(ns, account, "update", (kind.group, kind.plural, "status"))
    assert is_allowed(ns, account, "create", ("apps", "deployments", ""))
    assert is_allowed(ns, account, "create", ("", "services", "")) == kind.listens
    assert not is_allowed(ns, account, "get", SECRETS)


@EACH_LISTENING_SAMPLE
def test_listening_sample_gets_a_service_and_an_address_for_its_port(ns: SourceNamespace, sample: Sample) -> None:
    of_kind = ns.for_kind(sample.kind)
    source, deployment = of_kind.wait_until_ready(sample.name), deployment_of(of_kind, sample.name)
    service = ns.api.get("v1", "services", deployment["metadata"]["name"], ns.name)
    assert source["status"]["address"] == {"url": f"http://{service['metadata']['name']}.{ns.name}.svc.cluster.local"}
    assert service["metadata"]["ownerReferences"][0]["uid"] == source["metadata"]["uid"]
    [port] = service["spec"]["ports"]
    listened = AdapterEnv.from_environ(environ_of(of_kind, sample.name)).port
    assert (port["port"], port["targetPort"]) == (80, listened)
    template = deployment["spec"]["template"]
    assert listened in [port["containerPort"] for port in template["spec"]["containers"][0]["ports"]]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()


def sample_of(kind: str) -> Sample:
    return next(sample for sample in SAMPLES if sample.kind.name == kind)


def environ_of_sample(ns: SourceNamespace, sample: Sample) -> dict[str, str]:
    of_kind = ns.for_kind(sample.kind)
    of_kind.wait_until_ready(sample.name)
    return environ_of(of_kind, sample.name)


def test_github_sample_forwards_a_signed_webhook(ns: SourceNamespace) -> None:
    sample = sample_of("GithubWebhookSource")
    body = b'{"repository": {"full_name": "octo/cat"}}'
    signature = hmac.new(sample.secrets["github"]["webhook"].encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "d1",
        "X-Hub-Signature-256": f"sha256={signature}",
        "Content-Type": "application/json",
    }
    environ = environ_of_sample(ns, sample)
    with processes() as start:
        shown, url = display(start)
        adapter, port = run_adapter(start, environ, url)
        wait_until(lambda: listens(port), "the adapter", lambda: adapter.errors)
        answer = httpx2.post(
            f"http://127.0.0.1:{port}", content=body, headers=headers, timeout=DEADLINE_S, trust_env=False
        )
        assert answer.status_code == 202, answer.text
        event = shown.event()
    assert (event["id"], event["type"], event["subject"]) == ("d1", "com.github.push", "octo/cat")
    assert event["source"].endswith(f"/namespaces/{ns.name}/githubwebhooksources/github")


def test_cron_source_sends_an_event(ns: SourceNamespace) -> None:
    environ = environ_of_sample(ns, sample_of("CronSource"))
    every_second = json.dumps({**json.loads(environ["SOURCE_CONFIG"]), "schedule": "* * * * * *"})
    with processes() as start:
        shown, url = display(start)
        run_adapter(start, {**environ, "SOURCE_CONFIG": every_second}, url)
        event = shown.event()
    assert event["id"].startswith(environ["SOURCE_UID"])
    assert event["type"] == "dev.knative.cron.tick"

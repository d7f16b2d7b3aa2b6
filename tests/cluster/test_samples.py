"""The sample of each kind in a cluster: installed and applied as a user would, and the environment of its adapter."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterator

import httpx2
import pytest

from adapter.contract.environment import AdapterEnv
from adapter.loading import load_source
from tests.cluster.access import SECRETS, bound, may, may_at_last
from tests.cluster.handed import deployment_of, environ_of, run
from tests.cluster.samples import SAMPLES, Sample, installed, kubectl_apply
from tests.cluster.world import KIND, ROOT, Home, World, documents
from tests.process.harness import DEADLINE_S, display, listens, processes, wait_until

RESTRICTED = {"pod-security.kubernetes.io/warn": "restricted"}
EACH = pytest.mark.parametrize("sample", [pytest.param(it, id=it.kind.name) for it in SAMPLES])
LISTENING = pytest.mark.parametrize("sample", [pytest.param(it, id=it.kind.name) for it in SAMPLES if it.kind.listens])


@pytest.fixture(scope="module")
def home(world: World) -> Iterator[Home]:
    """A namespace with the sink and with all objects of the sample files."""
    files = [ROOT / "metacontroller/samples/sink.yaml", *(it.file for it in SAMPLES)]
    listed = [it for file in files for it in documents(file)]
    with installed(world, *(it.kind for it in SAMPLES if it.kind != KIND)):  # installed already
        home = Home(world, f"t-{uuid.uuid4().hex[:8]}", RESTRICTED)
        for it in listed:
            assert it["metadata"]["namespace"] == "default"
            it["metadata"]["namespace"] = home.namespace
        try:
            kubectl_apply(world, listed)
            yield home
        finally:
            home.close()


@EACH
def test_sample_becomes_ready(home: Home, sample: Sample) -> None:
    status = home.of(sample.kind).ready(sample.name)["status"]
    assert status["sinkUri"] == f"http://event-display.{home.namespace}.svc.cluster.local"
    assert [it["type"] for it in status["ceAttributes"]] == list(sample.kind.event_types)


@EACH
def test_adapter_environment_loads_as_the_spec_of_the_sample(home: Home, sample: Sample) -> None:
    seen = home.of(sample.kind)
    seen.ready(sample.name)
    source = load_source(AdapterEnv.from_environ(environ_of(seen, sample.name)))
    own = {name: it for name, it in sample.source["spec"].items() if name != "sink"}
    references = {name: it for name, it in own.items() if isinstance(it, dict) and "secretKeyRef" in it}
    meant = own | {name: text_of(it["secretKeyRef"], sample.secrets) for name, it in references.items()}
    assert (type(source), source.model_dump()) == (sample.kind.cls, sample.kind.cls.model_validate(meant).model_dump())
    [container] = deployment_of(seen, sample.name)["spec"]["template"]["spec"]["containers"]
    assert [it for it in references.values() if it not in [one.get("valueFrom") for one in container["env"]]] == []


def text_of(reference: dict[str, str], secrets: dict[str, dict[str, str]]) -> str:
    return secrets[reference["name"]][reference["key"]]


@EACH
def test_metacontroller_role_allows_the_needed_resources_and_no_secrets(home: Home, sample: Sample) -> None:
    kind = sample.kind
    account = bound(home, f"{kind.plural}.{kind.group}-metacontroller")
    may_at_last(home, account, "update", (kind.group, kind.plural, "status"))
    assert may(home, account, "create", ("apps", "deployments", ""))
    assert may(home, account, "create", ("", "services", "")) == kind.listens
    assert not may(home, account, "get", SECRETS)


@LISTENING
def test_listening_sample_gets_a_service_and_an_address_for_its_port(home: Home, sample: Sample) -> None:
    seen = home.of(sample.kind)
    source, deployment = seen.ready(sample.name), deployment_of(seen, sample.name)
    service = home.api.get("v1", "services", deployment["metadata"]["name"], home.namespace)
    assert source["status"]["address"] == {
        "url": f"http://{service['metadata']['name']}.{home.namespace}.svc.cluster.local"
    }
    assert service["metadata"]["ownerReferences"][0]["uid"] == source["metadata"]["uid"]
    [port] = service["spec"]["ports"]
    listened = AdapterEnv.from_environ(environ_of(seen, sample.name)).port
    assert (port["port"], port["targetPort"]) == (80, listened)
    template = deployment["spec"]["template"]
    assert listened in [it["containerPort"] for it in template["spec"]["containers"][0]["ports"]]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()


def sample_of(kind: str) -> Sample:
    return next(it for it in SAMPLES if it.kind.name == kind)


def environ_of_sample(home: Home, sample: Sample) -> dict[str, str]:
    seen = home.of(sample.kind)
    seen.ready(sample.name)
    return environ_of(seen, sample.name)


def test_github_sample_forwards_a_signed_webhook(home: Home) -> None:
    sample = sample_of("GithubWebhookSource")
    body = b'{"repository": {"full_name": "octo/cat"}}'
    signature = hmac.new(sample.secrets["github"]["webhook"].encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": "d1",
        "X-Hub-Signature-256": f"sha256={signature}",
        "Content-Type": "application/json",
    }
    environ = environ_of_sample(home, sample)
    with processes() as start:
        shown, url = display(start)
        adapter, port = run(start, environ, url)
        wait_until(lambda: listens(port), "the adapter", lambda: adapter.errors)
        answer = httpx2.post(
            f"http://127.0.0.1:{port}", content=body, headers=headers, timeout=DEADLINE_S, trust_env=False
        )
        assert answer.status_code == 202, answer.text
        event = shown.event()
    assert (event["id"], event["type"], event["subject"]) == ("d1", "com.github.push", "octo/cat")
    assert event["source"].endswith(f"/namespaces/{home.namespace}/githubwebhooksources/github")


def test_cron_sample_sends_an_event(home: Home) -> None:
    environ = environ_of_sample(home, sample_of("CronSource"))
    with processes() as start:
        shown, url = display(start)
        run(start, environ, url)
        event = shown.event()  # due every 10 s; events due since the creation come at once
    assert event["id"].startswith(environ["SOURCE_UID"])
    assert event["type"] == "com.example.cron"

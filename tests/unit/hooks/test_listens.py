"""A kind that listens: its CompositeController has Services among its children; the hook knows no more of it."""

from __future__ import annotations

from typing import Any

from adapter.contract.delivery_policy import LEAVE_S
from hooks.controller import KindOptions, sync
from hooks.observability import Observability
from hooks.protocol import SyncRequest
from sources_cli.arguments import ManifestsOptions
from sources_cli.generate.rbac import rbac
from sources_cli.kind import kind_named
from sources_cli.manifests import controller
from tests.unit.hooks.hook import NOW, SETTINGS, UID, condition, observed, parent

SINK = {"sink": {"uri": "http://h"}}
KIND = kind_named("WebhookSource", "adapter.sources")


def answer(spec: Any, children: Any = None, *, listens: bool = True, name: str = "hello") -> Any:
    services = {"Service.v1": {}} if listens else {}
    body = {"parent": parent(spec, name=name), "children": {"Deployment.apps/v1": {}, **services, **(children or {})}}
    request = SyncRequest.model_validate(body)
    return sync(request, SETTINGS, now=NOW, config=lambda kind: Observability(), options=KindOptions())


def test_it_gets_a_service_that_selects_its_pods_and_an_address() -> None:
    response = answer(SINK)
    deployment, service = response["children"]
    assert service["metadata"]["name"] == deployment["metadata"]["name"]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    [port] = service["spec"]["ports"]
    ports = deployment["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert port["targetPort"] in [it["containerPort"] for it in ports]
    host = f"{service['metadata']['name']}.ns.svc.cluster.local"
    assert response["status"]["address"] == {"url": f"http://{host}"}


def test_its_service_has_no_dots_in_its_name_and_the_address_leads_there() -> None:
    response = answer(SINK, name="in.box")
    deployment, service = response["children"]
    assert deployment["metadata"]["name"] == f"samplesource-in.box-{UID}"
    assert service["metadata"]["name"] == f"samplesource-in-box-{UID}"
    assert response["status"]["address"] == {"url": f"http://samplesource-in-box-{UID}.ns.svc.cluster.local"}


def test_its_pods_still_answer_while_endpoints_forget_them() -> None:
    pod, quiet = (answer(SINK, listens=it)["children"][0]["spec"]["template"]["spec"] for it in (True, False))
    assert pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1] == "import time; time.sleep(5)"
    assert pod["terminationGracePeriodSeconds"] == quiet["terminationGracePeriodSeconds"] + 5 + LEAVE_S
    assert "lifecycle" not in quiet["containers"][0]


def test_its_replicas_are_as_many_as_asked_for_and_ready_needs_them_all() -> None:
    spec = {**SINK, "replicas": 3}
    deployment = answer(spec)["children"][0]
    assert deployment["spec"]["replicas"] == 3
    counts = {"replicas": 3, "updatedReplicas": 3}
    assert condition(answer(spec, observed(deployment, **counts, availableReplicas=3)), "Ready") == ("True", None)
    two = answer(spec, observed(deployment, **counts, availableReplicas=2))
    assert condition(two, "Ready") == ("Unknown", "AdapterUpdating")


def test_of_a_timer_there_is_one_whatever_its_spec_says() -> None:
    response = answer({**SINK, "replicas": 3}, listens=False)
    assert [it["kind"] for it in response["children"]] == ["Deployment"]
    assert response["children"][0]["spec"]["replicas"] == 1
    assert "address" not in response["status"]


def test_without_an_adapter_there_is_no_service_either() -> None:
    response = answer({})
    assert (response["children"], "address" in response["status"]) == ([], False)


def test_the_manifests_say_that_it_listens() -> None:
    resources = [it["resource"] for it in controller(KIND, ManifestsOptions(""))["spec"]["childResources"]]
    assert resources == ["deployments", "services"]
    [role] = [it for it in rbac(KIND, ["v1/Service"], "a/b") if it["metadata"]["name"].endswith("-metacontroller")][:1]
    [rule] = [it for it in role["rules"] if it["resources"] == ["services"] and "create" in it["verbs"]]
    assert "delete" not in rule["verbs"]

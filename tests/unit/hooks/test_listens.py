"""Kinds that listen: their CompositeController has Services as children."""

from __future__ import annotations

from adapter.contract.timeouts import TIMEOUTS
from sources_cli.arguments import ManifestsOptions
from sources_cli.generate.rbac import rbac
from sources_cli.kind import kind_named
from sources_cli.manifests import controller
from tests.unit.hooks.hook import UID, URL_SINK, answer, condition, env_of, observed, pod_of

SPEC = {"sink": URL_SINK}
KIND = kind_named("WebhookSource", "adapter.sources")


def test_listening_kind_gets_a_service_that_selects_its_pods_and_an_address() -> None:
    response = answer(SPEC, listens=True)
    deployment, service = response["children"]
    assert service["metadata"]["name"] == deployment["metadata"]["name"]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    [port] = service["spec"]["ports"]
    ports = pod_of(response)["containers"][0]["ports"]
    assert port["targetPort"] in [container_port["containerPort"] for container_port in ports]
    host = f"{service['metadata']['name']}.ns.svc.cluster.local"
    assert response["status"]["address"] == {"url": f"http://{host}"}


def test_service_name_has_no_dots_and_the_address_contains_it() -> None:
    response = answer(SPEC, listens=True, name="in.box")
    deployment, service = response["children"]
    assert deployment["metadata"]["name"] == f"samplesource-in.box-{UID}"
    assert service["metadata"]["name"] == f"samplesource-in-box-{UID}"
    assert response["status"]["address"] == {"url": f"http://samplesource-in-box-{UID}.ns.svc.cluster.local"}


def test_pod_of_a_listening_kind_sleeps_before_it_stops_within_its_grace_period() -> None:
    """The kubelet sleeps, not a program: the image may have no Python and no shell."""
    pod, quiet = (pod_of(answer(SPEC, listens=listens)) for listens in (True, False))
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    more_s = TIMEOUTS.pre_stop_s + TIMEOUTS.listener_drain_s + TIMEOUTS.responses_s
    assert pod["terminationGracePeriodSeconds"] == quiet["terminationGracePeriodSeconds"] + more_s
    assert "lifecycle" not in quiet["containers"][0]


def test_scaling_does_not_change_the_template_of_the_pods() -> None:
    two, three = (answer({**SPEC, "replicas": replicas}, listens=True) for replicas in (2, 3))
    assert [response["children"][0]["spec"]["replicas"] for response in (two, three)] == [2, 3]
    assert two["children"][0]["metadata"]["annotations"] == three["children"][0]["metadata"]["annotations"]
    assert two["children"][0]["spec"]["template"] == three["children"][0]["spec"]["template"]
    assert env_of(two)["SOURCE_CONFIG"] == "{}"


def test_listening_kind_is_ready_when_all_replicas_are_available() -> None:
    spec = {**SPEC, "replicas": 3}
    deployment = answer(spec, listens=True)["children"][0]
    counts = {"replicas": 3, "updatedReplicas": 3}
    three = answer(spec, listens=True, children=observed(deployment, **counts, availableReplicas=3))
    assert condition(three, "Ready") == ("True", None)
    two = answer(spec, listens=True, children=observed(deployment, **counts, availableReplicas=2))
    assert condition(two, "Ready") == ("Unknown", "AdapterUpdating")


def test_kind_that_does_not_listen_has_one_replica_and_no_service() -> None:
    response = answer({**SPEC, "replicas": 3})
    assert [child["kind"] for child in response["children"]] == ["Deployment"]
    assert response["children"][0]["spec"]["replicas"] == 1
    assert "address" not in response["status"]


def test_without_a_sink_there_is_no_service() -> None:
    response = answer({}, listens=True)
    assert (response["children"], "address" in response["status"]) == ([], False)


def test_manifests_of_a_listening_kind_contain_services() -> None:
    children = controller(KIND, ManifestsOptions(""))["spec"]["childResources"]
    assert [child["resource"] for child in children] == ["deployments", "services"]
    roles = [role for role in rbac(KIND, ["v1/Service"], "a/b") if role["metadata"]["name"].endswith("-metacontroller")]
    rules = [rule for rule in roles[0]["rules"] if rule["resources"] == ["services"]]
    [rule] = [rule for rule in rules if "create" in rule["verbs"]]
    assert "delete" not in rule["verbs"]

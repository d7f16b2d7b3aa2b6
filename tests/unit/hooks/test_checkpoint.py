"""``spec.checkpoint``: what each form adds to the Deployment, which level decides, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from adapter.contract.timeouts import TIMEOUTS
from hooks.checkpoint import Checkpoint, read_checkpoint
from hooks.controller import KindOptions, Unprocessable
from tests.unit.hooks.hook import NOW, SERVICE_SINK, URL_SINK, answer, condition, message, observed, pod_of, service

SECRET = {"secretKeyRef": {"name": "db", "key": "url"}}
FORMS: dict[str, Any] = {
    "none": {"none": {}},
    "pod": {"pod": {}},
    "url": {"url": SECRET},
    "volume": {"volume": {"claimName": "positions"}},
}
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
ONE_OF = "set exactly one of none, pod, url and volume"
NO_TEXT = "write secretKeyRef with the name and the key of a Secret; a URL in this field would show its password"
DOWN = {"type": "Available", "status": "False", "message": "Deployment does not have minimum availability."}
ROLLED_OUT = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}


def rendered(checkpoint: Any = None, *, default: Any = None, polls: bool = False, **more: Any) -> Any:
    """The Deployment of a source with this ``spec.checkpoint``. ``default``: of the cluster."""
    spec = {"sink": URL_SINK, **({} if checkpoint is None else {"checkpoint": checkpoint}), **more.pop("spec", {})}
    of_cluster = read_checkpoint(default, "checkpoint") if default else None
    response = answer(spec, options=KindOptions(polls=polls, checkpoint=of_cluster), **more)
    assert response["children"], response["status"]
    return response["children"][0]


def form_of(deployment: Any) -> str:
    """The form that a Deployment has, from its variable."""
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    found = [entry for entry in container["env"] if entry["name"] == "CHECKPOINT_URL"]
    if not found:
        return "none"
    return {"file:///checkpoint": "pod", "file:///checkpoint?shared=true": "volume"}.get(
        found[0].get("value", ""), "url"
    )


def added(checkpoint: Any) -> dict[str, Any]:
    """The fields of the Deployment and its pod that differ from those without a checkpoint, except hash and env.

    ``env``: the variables that are added.
    """
    parts, others = (_parts(each) for each in (rendered(checkpoint), rendered({"none": {}})))
    assert parts.keys() >= others.keys()
    env = [entry for entry in parts.pop("env") if entry not in others["env"]]
    return {**({"env": env} if env else {}), **{name: parts[name] for name in parts if parts[name] != others.get(name)}}


def _parts(deployment: Any) -> dict[str, Any]:
    template = deployment["spec"].pop("template")
    [container] = template["spec"].pop("containers")
    annotations = template["metadata"]["annotations"]
    del annotations["samples.knative.dev/template-hash"]
    of_container = {("of the container" if name == "securityContext" else name): container[name] for name in container}
    return {**deployment["spec"], **template["spec"], **of_container, **annotations, **template["metadata"]["labels"]}


def test_pod_adds_a_bounded_directory_that_does_not_keep_a_node() -> None:
    assert added(FORMS["pod"]) == {
        "env": [{"name": "CHECKPOINT_URL", "value": "file:///checkpoint"}],
        "volumes": [{"name": "checkpoint", "emptyDir": {"sizeLimit": "16Mi"}}],
        "volumeMounts": [{"name": "checkpoint", "mountPath": "/checkpoint"}],
        "terminationGracePeriodSeconds": 33,
        SAFE_TO_EVICT: "checkpoint",
    }


def test_volume_adds_a_claim_that_one_pod_at_a_time_can_write() -> None:
    assert added(FORMS["volume"]) == {
        "env": [{"name": "CHECKPOINT_URL", "value": "file:///checkpoint?shared=true"}],
        "volumes": [{"name": "checkpoint", "persistentVolumeClaim": {"claimName": "positions"}}],
        "volumeMounts": [{"name": "checkpoint", "mountPath": "/checkpoint"}],
        "terminationGracePeriodSeconds": 33,
        "strategy": {"type": "Recreate"},
        "securityContext": {
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def test_url_adds_only_a_variable_from_the_secret() -> None:
    assert added(FORMS["url"]) == {
        "env": [{"name": "CHECKPOINT_URL", "valueFrom": SECRET}],
        "terminationGracePeriodSeconds": 33,
    }


def test_none_adds_nothing_and_is_the_default_of_a_kind_that_does_not_poll() -> None:
    assert added(FORMS["none"]) == {}
    assert rendered() == rendered(FORMS["none"])


@pytest.mark.parametrize("polls", [False, True])
@pytest.mark.parametrize("default", [None, *FORMS])
@pytest.mark.parametrize("own", [None, *FORMS])
def test_source_decides_before_the_cluster_and_the_cluster_before_the_kind(
    own: str | None, default: str | None, polls: bool
) -> None:
    deployment = rendered(own and FORMS[own], default=default and FORMS[default], polls=polls)
    assert form_of(deployment) == (own or default or ("pod" if polls else "none"))


def test_null_means_the_default() -> None:
    response = answer({"sink": URL_SINK, "checkpoint": None}, options=KindOptions(polls=True))
    assert form_of(response["children"][0]) == "pod"
    assert form_of(rendered({"pod": None, "none": {}})) == "none"


@pytest.mark.parametrize("form", FORMS)
def test_time_for_the_last_save_is_part_of_the_grace_period_and_of_its_minimum(form: str) -> None:
    least = TIMEOUTS.grace_period_s(10, dead_letter=False, listens=False, saves=form != "none")
    assert pod_of({"children": [rendered(FORMS[form])]})["terminationGracePeriodSeconds"] == least
    spec = {"sink": URL_SINK, "checkpoint": FORMS[form], "adapter": {"terminationGracePeriodSeconds": least - 1}}
    assert f"write at least {least}: " in message(answer(spec))


@pytest.mark.parametrize(
    ("own", "merged"),
    [
        ("data", "data,checkpoint"),
        ("a,checkpoint,b", "a,checkpoint,b"),
        ("checkpoint", "checkpoint"),
        ("a,", "a,checkpoint"),
        (None, "checkpoint"),
    ],
)
def test_annotation_of_the_autoscaler_keeps_the_volumes_of_the_source(own: str | None, merged: str) -> None:
    deployment = rendered(FORMS["pod"], spec={"adapter": {"annotations": {SAFE_TO_EVICT: own, "a": "b"}}})
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert (annotations[SAFE_TO_EVICT], annotations["a"]) == (merged, "b")
    others = rendered(FORMS["url"], spec={"adapter": {"annotations": {SAFE_TO_EVICT: "data"}}})
    assert others["spec"]["template"]["metadata"]["annotations"][SAFE_TO_EVICT] == "data"


@pytest.mark.parametrize("form", FORMS)
def test_suspended_source_keeps_its_store(form: str) -> None:
    running, suspended = rendered(FORMS[form]), rendered(FORMS[form], spec={"suspend": True})
    assert (running["spec"].pop("replicas"), suspended["spec"].pop("replicas")) == (1, 0)
    assert suspended == running


@pytest.mark.parametrize("form", FORMS)
def test_lost_sink_keeps_the_store(form: str) -> None:
    spec = {"sink": SERVICE_SINK, "checkpoint": FORMS[form]}
    [wanted] = answer(spec, related=service())["children"]
    assert answer(spec, children=observed(wanted))["children"] == [wanted]


@pytest.mark.parametrize("form", FORMS)
def test_image_with_its_own_command_gets_the_same_store(form: str) -> None:
    spec = {"sink": URL_SINK, "checkpoint": FORMS[form]}
    ours, other = (answer(spec, image=image)["children"][0] for image in (None, "other:1"))
    for deployment in (ours, other):
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        del container["image"], deployment["metadata"]["annotations"]
        container.pop("command", None)
        del deployment["spec"]["template"]["metadata"]["annotations"]["samples.knative.dev/template-hash"]
    assert ours == other


@pytest.mark.parametrize(
    ("checkpoint", "error"),
    [
        ("postgresql://u:S3CRET@h/d", f"spec.checkpoint is not an object: {ONE_OF}"),
        ([], f"spec.checkpoint is not an object: {ONE_OF}"),
        ({}, f"spec.checkpoint is an empty object: {ONE_OF}"),
        ({"pod": {}, "none": {}}, f"spec.checkpoint is an object with the keys pod, none: {ONE_OF}"),
        ({"pod": True}, "spec.checkpoint.pod is true: write an object"),
        ({"pod": {"sizeLimit": "1Gi"}}, "spec.checkpoint.pod.sizeLimit is not a field of a checkpoint: remove it"),
        ({"redis": {}}, "spec.checkpoint.redis is not a field of a checkpoint: remove it"),
        ({"url": "redis://:S3CRET@h"}, f"spec.checkpoint.url is a text: {NO_TEXT}"),
        ({"url": {"value": "redis://:S3CRET@h"}}, "spec.checkpoint.url.secretKeyRef is missing: it is required"),
        ({"url": {"secretKeyRef": "S3CRET"}}, "spec.checkpoint.url.secretKeyRef is a text: write an object"),
        (
            {"url": {"secretKeyRef": {"name": "redis://:S3CRET@h", "key": "k"}}},
            "spec.checkpoint.url.secretKeyRef.name is a text: write the name of an object",
        ),
        (
            {"url": {"secretKeyRef": {"name": "db", "key": "url", "optional": True}}},
            "spec.checkpoint.url.secretKeyRef.optional is not a field of a checkpoint: remove it",
        ),
        ({"volume": {}}, "spec.checkpoint.volume.claimName is missing: it is required"),
        (
            {"volume": {"claimName": "p", "readOnly": True}},
            "spec.checkpoint.volume.readOnly is not a field of a checkpoint: remove it",
        ),
    ],
)
def test_wrong_checkpoint_is_invalid_and_deletes_no_adapter_and_shows_no_secret(checkpoint: Any, error: str) -> None:
    spec = {"sink": URL_SINK, "checkpoint": checkpoint}
    response = answer(spec)
    assert (condition(response, "Ready"), message(response)) == (("False", "InvalidSpec"), error)
    assert response["children"] == []
    with pytest.raises(Unprocessable) as refused:
        answer(spec, children=observed(rendered()))
    assert str(refused.value) == error
    assert "S3CRET" not in error


@pytest.mark.parametrize("own", [FORMS["volume"], None])
def test_several_replicas_of_a_listener_cannot_share_a_volume(own: Any) -> None:
    spec = {"sink": URL_SINK, "replicas": 2, **({"checkpoint": own} if own else {})}
    default = Checkpoint.model_validate(FORMS["volume"])
    response = answer(spec, listens=True, options=KindOptions(checkpoint=default))
    text = "with a checkpoint on a volume, only one pod can run; set replicas to 1, or use checkpoint.url"
    note = "" if own else " (the volume is the default of the cluster)"
    assert message(response) == f"spec.replicas is 2: {text}{note}"
    one = answer({**spec, "replicas": 1}, listens=True, options=KindOptions(checkpoint=default))
    assert one["children"][0]["spec"]["strategy"] == {"type": "Recreate"}
    many = answer({**spec, "checkpoint": FORMS["url"]}, listens=True)
    assert many["children"][0]["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("adapter", "field"),
    [
        ({"env": [{"name": "CHECKPOINT_URL", "value": "x"}]}, "env[0].name"),
        (
            {
                "volumes": [{"name": "checkpoint", "emptyDir": {}}],
                "volumeMounts": [{"name": "checkpoint", "mountPath": "/d"}],
            },
            "volumes[0].name",
        ),
        (
            {"volumes": [{"name": "a", "emptyDir": {}}], "volumeMounts": [{"name": "a", "mountPath": "/checkpoint/a"}]},
            "volumeMounts[0].mountPath",
        ),
    ],
)
def test_pod_settings_cannot_use_the_names_of_the_checkpoint(adapter: Any, field: str) -> None:
    response = answer({"sink": URL_SINK, "adapter": adapter})
    assert message(response).startswith(f"spec.adapter.{field} is ")


def test_status_says_that_the_old_pod_stops_before_the_new_one_starts() -> None:
    """Kubernetes counts no pod that stops, and reports the rollout of the old template as complete."""
    spec = {"sink": URL_SINK, "checkpoint": FORMS["volume"]}
    [wanted] = answer(spec)["children"]
    none = {"replicas": 0, "updatedReplicas": None, "availableReplicas": None, "conditions": [DOWN, ROLLED_OUT]}
    between = observed(wanted, **none)
    ready = answer(spec, children=observed(wanted))
    stale = answer(spec, children=between, status=ready["status"])
    assert condition(stale, "Ready") == condition(stale, "Deployed") == ("Unknown", "AdapterStarting")
    name = wanted["metadata"]["name"]
    assert message(stale) == (
        f"Deployment {name} starts its new pod when the old one has ended, because of its checkpoint volume"
    )
    assert answer(spec, children=between, status=stale["status"])["resyncAfterSeconds"] == 60 + 33
    in_time, late = (
        answer(spec, children=between, status=stale["status"], now=NOW + timedelta(seconds=seconds))
        for seconds in (60 + 33 - 1, 60 + 33)
    )
    assert (condition(in_time, "Ready"), in_time["resyncAfterSeconds"]) == (("Unknown", "AdapterStarting"), 1)
    assert condition(late, "Ready") == ("False", "DeploymentUnavailable")
    assert message(late) == (
        f"Deployment {name} is unavailable: its old pod has not ended within its grace period of 33 s, and the new one "
        "starts after it. The node of the old pod may be down; see `kubectl get pods -o wide -n ns`"
    )
    assert answer(spec, children=between, status=late["status"], now=NOW + timedelta(hours=1)) == late


def test_pod_of_a_volume_that_fails_later_is_unavailable_at_once() -> None:
    spec = {"sink": URL_SINK, "checkpoint": FORMS["volume"]}
    [wanted] = answer(spec)["children"]
    ready = answer(spec, children=observed(wanted))
    failed = observed(wanted, availableReplicas=0, conditions=[DOWN, ROLLED_OUT])
    assert condition(answer(spec, children=failed, status=ready["status"]), "Ready") == (
        "False",
        "DeploymentUnavailable",
    )

"""Each documented fault is recognised from the objects of a cluster, and comes first."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.children.names import deployment_name as hook_deployment_name
from hooks.protocol import Parent
from hooks.source import read_source
from sources_cli.cluster.diagnosis import explain
from sources_cli.cluster.finding import ABSENT, Read, Snapshot, deployment_name
from sources_cli.cluster.reasons.table import TABLE
from tests.unit.sources_cli.cluster.objects import (
    AT,
    POD,
    READY,
    SINK,
    conditions,
    deployment,
    failed,
    log,
    metacontroller_pod,
    pod,
    service,
    slice,
    snapshot,
    source,
    sync_error,
    unfinished,
)

FRESH = source()  # without a status
HOOK = "sync hook failed for SampleSource default/hello: sync hook failed (version=v2): "
ATTEMPT = {"msg": "delivery attempt failed; will retry", "count": 3, "event_id": "7"}
EDITED = source(generation=2, Ready="True", SinkProvided="True", Deployed="True")
STUCK = failed("Deployed", "ProgressDeadlineExceeded")
NOT_READY = failed("Deployed", "DeploymentUnavailable")
TAKEN = {**deployment(), "metadata": {"name": deployment_name(READY), "namespace": "default"}}


def waiting(reason: str, message: str = "") -> Any:
    return {"waiting": {"reason": reason, "message": message}}


def starting(reason: str) -> Any:
    state = ("Unknown", reason, "what it waits for")
    return source(Ready=state, Deployed=state)


def broken(container: Any, **more: Any) -> Snapshot:
    """The adapter was never available; the hook does not see its pods."""
    return snapshot(STUCK, pods=[pod(container, **more)], logs={})


def logged(*entries: Any, document: Any = NOT_READY) -> Snapshot:
    return snapshot(document, pods=[pod()], logs={POD: Read(log(*entries))})


def unscheduled() -> Any:
    text = ("False", "Unschedulable", "0/3 nodes are available: 3 Insufficient memory.")
    return pod(waiting("x"), phase="Pending", conditions=conditions(PodScheduled=text), containerStatuses=[])


CASES: dict[str, Snapshot] = {
    "ControllerMissing": unfinished(FRESH, controller=ABSENT),
    "MetacontrollerForbidden": unfinished(FRESH, forbidden=["brokers.eventing.knative.dev"]),
    "SinkKindNotServed": unfinished(FRESH, events=[sync_error("can't find resource things in apiVersion x/v1")]),
    "MetacontrollerNotRunning": unfinished(FRESH, metacontroller_pods=[metacontroller_pod("False")]),
    "HookRefuses": snapshot(EDITED, events=[sync_error(f'{HOOK}unsupported status code: 401 body: {{"error": "x"}}')]),
    "HookUnavailable": snapshot(EDITED, events=[sync_error(f'{HOOK}http error: Post "http://h/sync": EOF')]),
    "SyncTooLarge": snapshot(EDITED, events=[sync_error(f"{HOOK}unsupported status code: 413 body: {{}}")]),
    "SpecRefused": snapshot(EDITED, events=[sync_error(f'{HOOK}unsupported status code: 422 body: {{"error": "x"}}')]),
    "SyncFailed": snapshot(EDITED, events=[sync_error("can't reconcile children: quota")]),
    "NotReconciled": unfinished(FRESH),
    "SinkNotReady": snapshot(
        sink={"kind": "Broker", "metadata": {"name": "b", "namespace": "default"},
              "status": {"conditions": conditions(Ready=("False", "NoFilter", "the filter is down"))}},
    ),
    "SinkWithoutEndpoints": snapshot(sink_slices=[slice(ports=())]),
    "DeploymentNameTaken": unfinished(failed("Deployed", "DeploymentNotCreated"), named_deployment=TAKEN),
    "ObjectMissing": snapshot(references={"Secret/queue": ABSENT}),
    "CheckpointNotUsable": logged({"msg": "checkpoint not usable; the source does not start", "reason": "not JSON"}),
    "CheckpointStoreDown": logged({"msg": "checkpoint not loaded; will retry", "reason": "refused"}),
    "UpstreamFails": logged({"msg": "poll failed", "reason": "the server answers 503"}),
    "EventLoopBlocked": logged({"msg": "the event loop is blocked", "at": "kind.py:9"}),
    "SourceEnded": logged({"msg": "the source has no more events"}, document=READY),
    "EventInvalid": logged({"msg": "invalid event rejected", "reason": "type is empty"}),
    "RequestFailed": logged({"msg": "request failed", "error": "KeyError: 'x'", "at": "kind.py:9"}, document=READY),
    "ProxyFails": logged({**ATTEMPT, "code": "transport", "reason": "the proxy http://p:80 answers 407"}),
    "CredentialsUnusable": logged({**ATTEMPT, "code": "token", "reason": "no token for the audience"}),
    "SinkUnreachable": logged({**ATTEMPT, "code": "transport", "reason": "no connection within 1.5 s"}),
    "SinkRefuses": logged({**ATTEMPT, "msg": "event lost", "code": "404", "reason": "404 Not Found"}),
    "SinkFails": logged({**ATTEMPT, "code": "503", "reason": "503 Service Unavailable: no"}),
    "DeadLetterSinkFails": logged({"msg": "dead letter sink did not accept the event", "reason": "503"}),
    "EventsDeadLettered": logged({"msg": "event sent to the dead letter sink", "reason": "400"}, document=READY),
    "NotReady": snapshot(NOT_READY, pods=[pod()], readiness={POD: Read((503, "not started yet\n"))}),
    "InvalidSpec": unfinished(source(Ready=("False", "InvalidSpec", "spec.x is wrong"))),
    "Suspended": snapshot(failed("Deployed", "Suspended"), pods=[]),
    "SinkNotResolved": unfinished(starting("SinkNotResolved")),
    "DeploymentNotCreated": unfinished(failed("Deployed", "DeploymentNotCreated")),
    "PoolNotAnswering": unfinished(starting("PoolNotAnswering")),
    "AdapterRefused": unfinished(failed("Deployed", "AdapterRefused")),
    "DeploymentUnavailable": snapshot(NOT_READY, pods=Read(problem="forbidden")),
    "ProgressDeadlineExceeded": snapshot(STUCK, pods=Read(problem="forbidden")),
    "FailedCreate": snapshot(failed("Deployed", "FailedCreate"), pods=[]),
    "ReplicaSetCreateError": snapshot(failed("Deployed", "ReplicaSetCreateError"), pods=[]),
    "AdapterStarting": unfinished(starting("AdapterStarting")),
    "AdapterUpdating": snapshot(starting("AdapterUpdating")),
    "Unschedulable": snapshot(STUCK, pods=[unscheduled()]),
    "CrashLoopBackOff": broken(waiting("CrashLoopBackOff"), last={"exitCode": 2, "message": 'K_SINK is "x"\n'}),
    "OOMKilled": broken(waiting("CrashLoopBackOff"), last={"exitCode": 137, "reason": "OOMKilled"}),
    "Evicted": broken(waiting("x"), phase="Failed", reason="Evicted", message="The node was low on memory."),
    "PodFailed": broken(waiting("x"), phase="Failed"),
    **{
        reason: broken(waiting(reason, "the kubelet's message"))
        for reason in ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
                       "CreateContainerConfigError", "CreateContainerError", "RunContainerError")
    },
    **{
        reason: unfinished(failed("SinkProvided", reason))
        for reason in ("SinkMissing", "InvalidSink", "SinkKindNotAllowed", "SinkNamespaceNotAllowed", "NotFound",
                       "NotAddressable", "AddressNotFound", "AddressInvalid")
    },
}  # fmt: skip


def reasons(seen: Snapshot) -> list[str]:
    return [finding.reason for finding in explain(seen).findings]


def test_there_is_a_case_for_each_reason_of_the_table() -> None:
    assert set(CASES) == set(TABLE)


@pytest.mark.parametrize("reason", list(CASES))
def test_fault_is_the_first_finding(reason: str) -> None:
    assert reasons(CASES[reason])[:1] == [reason]


@pytest.mark.parametrize("reason", list(CASES))
def test_finding_says_what_to_do(reason: str) -> None:
    found = explain(CASES[reason]).findings[0]
    assert found.message
    assert found.todo
    assert "{" not in found.command.replace('\'{"spec": {', "")
    assert found.since in ("", AT, "2026-01-01T11:58:30Z")


def test_healthy_source_has_no_finding_and_its_last_event() -> None:
    seen = explain(snapshot())
    assert (seen.findings, seen.notes) == ([], [])
    assert {link.state for link in seen.chain} == {"ok"}
    assert seen.last_delivered == "2026-01-01T11:58:20Z"


def test_cause_comes_before_its_consequence() -> None:
    lost = failed("SinkProvided", "NotFound")
    lost["status"]["conditions"] += conditions(DeadLetterSinkResolved=("False", "NotAddressable", "no address"))
    hook_down = [sync_error(f"{HOOK}http error: EOF")]
    assert reasons(unfinished(lost, events=hook_down)) == ["HookUnavailable", "NotFound", "NotAddressable"]


def test_condition_without_a_cause_is_left_out_if_the_log_has_the_cause() -> None:
    assert reasons(CASES["SinkRefuses"]) == ["SinkRefuses"]
    assert reasons(CASES["OOMKilled"]) == ["OOMKilled"]


def test_sync_error_that_is_over_is_not_reported() -> None:
    old = {**sync_error(f"{HOOK}http error: EOF"), "lastTimestamp": "2026-01-01T11:50:00Z"}
    assert reasons(snapshot(events=[old])) == []
    assert reasons(snapshot(EDITED, events=[old])) == ["HookUnavailable"]


def test_hook_without_ready_pods_is_reported_before_the_first_failed_sync() -> None:
    assert reasons(snapshot(hook_slices=[slice(False)])) == ["HookUnavailable"]


def test_metacontroller_outside_the_cluster_is_not_reported_as_absent() -> None:
    assert reasons(snapshot(metacontroller_pods=[])) == []
    assert reasons(unfinished(FRESH, metacontroller_pods=[])) == ["MetacontrollerNotRunning"]


def test_service_of_an_external_name_needs_no_endpoints() -> None:
    assert reasons(snapshot(sink=service(type="ExternalName"), sink_slices=[])) == []


def test_dead_letter_sink_without_pods_is_found_beside_the_sink() -> None:
    dead = {**service(), "metadata": {"name": "dead-letters", "namespace": "ops"}}
    found = explain(snapshot(sink_slices=[], dead_letter_sink=dead, dead_letter_slices=[])).findings
    assert [finding.message.partition(" has")[0] for finding in found] == [
        "Service default/display",
        "Service ops/dead-letters",
    ]
    assert found[1].command == "kubectl get endpointslices -n ops -l kubernetes.io/service-name=dead-letters"


def test_unresolved_target_port_and_unready_pods_are_told_apart() -> None:
    def text(*slices: Any) -> str:
        return explain(snapshot(sink_slices=list(slices))).findings[0].message

    assert text(slice(True, ports=())).endswith("no pod has a port with the name in its targetPort.")
    assert text(slice(False)).endswith("has pods, but none of them is ready.")
    assert text().endswith("has no pods: none has the labels app=display.")


def test_what_cannot_be_read_is_a_note_and_no_finding() -> None:
    refused = Read(problem="you have no permission to read this")
    reads = ("deployments", "named_deployment", "replica_sets", "pods", "events", "sink", "sink_slices")
    pages = ("logs", "readiness", "metrics")
    seen = explain(
        snapshot(
            **dict.fromkeys(reads, refused),
            **{name: {POD: refused} for name in pages},
            references={"Secret/queue": refused},
        )
    )
    assert seen.findings == []
    assert {note.partition(":")[2] for note in seen.notes} == {" you have no permission to read this"}
    assert {link.step.value for link in seen.chain if link.state == "unknown"} == {"deployment", "pod", "delivery"}


def test_rights_that_the_user_lacks_are_no_note_while_the_controller_works() -> None:
    refused = Read(problem="you have no permission to read this")
    assert explain(snapshot(controller=refused, metacontroller_pods=refused, hook_slices=refused)).notes == []
    assert len(explain(unfinished(FRESH, controller=refused, metacontroller_pods=refused)).notes) == 2


def test_old_pods_and_pods_of_another_template_are_not_judged() -> None:
    leaving, older = pod(waiting("CrashLoopBackOff")), pod(waiting("ErrImagePull"))
    leaving["metadata"]["deletionTimestamp"] = AT
    older["metadata"]["annotations"] = {}
    assert reasons(snapshot(pods=[leaving, older, pod(ready=True)])) == []


def test_name_of_the_deployment_is_that_of_the_hook() -> None:
    for name in ("hello", "a" * 200):
        document = {**READY, "metadata": {**READY["metadata"], "name": name, "uid": "3ef39958-f1fb-44d2"}}
        assert deployment_name(document) == hook_deployment_name(read_source(Parent.model_validate(document)))


def test_suspended_source_has_no_other_finding() -> None:
    assert reasons(snapshot(failed("Deployed", "Suspended"), pods=[], sink_slices=[])) == ["Suspended"]


def test_source_that_is_not_ready_for_an_unknown_reason_is_not_healthy() -> None:
    """Of another controller, such as Knative's."""
    [found] = explain(snapshot(source(Ready=("False", "CronJobBroken", "the job is gone")))).findings
    assert (found.reason, found.message) == ("CronJobBroken", "The source is not ready: the job is gone")


def test_kind_that_is_not_served_is_found_without_an_event() -> None:
    thing = {"ref": {**SINK["ref"], "apiVersion": "x.example.com/v1", "kind": "Thing"}}
    assert reasons(unfinished(source(spec={"sink": thing}), sink=ABSENT))[0] == "SinkKindNotServed"

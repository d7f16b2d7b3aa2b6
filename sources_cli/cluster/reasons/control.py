"""Reasons of the source, its sink and its controller, in the order of causes."""

from __future__ import annotations

from hooks.diagnosis.reasons import Reason
from sources_cli.cluster.reasons.entry import DESCRIBE, EDIT, HOOK, READY_EMPTY, TROUBLE, Entry, Fault, Step

_SINK = "SinkProvided False"

CONTROL: dict[str, Entry] = {
    Fault.CONTROLLER_MISSING: Entry(
        Step.CONTROLLER,
        "No CompositeController exists for the kind, or the `labelSelector` of each one selects other sources. So "
        "nothing looks at this source.",
        "Apply the manifests of the kind again, or upgrade the Helm release. If Metacontrollers [divide the "
        "sources](metacontroller.md#divide-the-sources), give the source the label of one of them.",
        "kubectl get compositecontrollers",
        READY_EMPTY,
        "no status; no CompositeController with the kind as `parentResource`, or none that selects the source",
    ),
    Fault.METACONTROLLER_FORBIDDEN: Entry(
        Step.CONTROLLER,
        "Metacontroller has no permission to watch the kind of the sink. Its log says `forbidden`.",
        "Upgrade the Helm release. Or apply the `rbac.yaml` of the kind again; generate it with the same "
        "`--sink-kinds` as `controller.yaml`.",
        "kubectl auth can-i watch {sink_resource} --as=system:serviceaccount:{metacontroller}",
        READY_EMPTY,
        "no status, no events of the source",
    ),
    Fault.SINK_KIND_NOT_SERVED: Entry(
        Step.CONTROLLER,
        "The kind of the sink is on the list of sink kinds, but the cluster does not serve it.",
        "Take it off the [list](install.md#choose-the-kinds-of-sinks), or install its CRD. Metacontroller notices the "
        "CRD within its `--discovery-interval`.",
        "kubectl api-resources | grep -i {sink_kind}",
        READY_EMPTY,
        'a `SyncError` event with "can\'t find resource"',
    ),
    Fault.METACONTROLLER_NOT_RUNNING: Entry(
        Step.CONTROLLER,
        "Metacontroller does not run.",
        "Check the pods of Metacontroller.",
        "kubectl get pods -n {metacontroller_namespace}",
        READY_EMPTY,
        "no status, no events of the source; no pod of Metacontroller is ready",
    ),
    Fault.HOOK_REFUSES: Entry(
        Step.CONTROLLER,
        "Metacontroller and the hook do not trust each other: the hook answers 401 or 403, a certificate cannot be "
        "verified, or a Secret of the `endpointConfigs` is missing.",
        "Compare the token and certificates of the hook with the `endpointConfigs` of the CompositeController.",
        "kubectl get compositecontroller {controller} -o yaml",
        TROUBLE,
        "a `SyncError` event with 401, 403, `x509` or `tls`",
    ),
    Fault.HOOK_UNAVAILABLE: Entry(
        Step.CONTROLLER,
        "The hook is down, too slow, or answers with a 5xx. Adapters keep running.",
        "Check the pods of the hook. The source recovers by itself once the hook answers.",
        HOOK,
        READY_EMPTY,
        "a `SyncError` event with a connection error, a timeout or a 5xx; the status does not change",
    ),
    Fault.SYNC_TOO_LARGE: Entry(
        Step.CONTROLLER,
        "The sync of the source is larger than the hook accepts.",
        "Delete the failed pods of the source, or raise `MAX_BODY_BYTES` of the hook.",
        "kubectl delete pods -n {namespace} -l {selector} --field-selector status.phase=Failed",
        "docs/operate.md#size-of-a-sync",
        "a `SyncError` event with 413",
    ),
    Fault.SPEC_REFUSED: Entry(
        Step.SOURCE,
        "The CRD is older than the hook and accepted a spec that the hook refuses. A running adapter keeps running.",
        "Correct the field, and apply the `crd.yaml` of the kind.",
        EDIT,
        TROUBLE,
        "a `SyncError` event that names a field of `spec`",
    ),
    Reason.INVALID_SPEC: Entry(
        Step.SOURCE,
        "The spec is invalid and no adapter runs. If one runs, it is kept, and a `SyncError` event has the message.",
        "Correct the field that the message names, and apply the `crd.yaml` of the kind.",
        EDIT,
        condition="Ready False",
    ),
    Fault.SYNC_FAILED: Entry(
        Step.CONTROLLER,
        "Metacontroller cannot apply what the hook wants. The event has the reason.",
        "Remove the cause that the event names.",
        DESCRIBE,
        TROUBLE,
        "a `SyncError` event with another text",
    ),
    Fault.NOT_RECONCILED: Entry(
        Step.CONTROLLER,
        "Metacontroller has not called the hook for the present `spec`. It does not run, may not watch a kind, or its "
        "`--target-label-selector` does not match the CompositeController.",
        "Check the pods, the flags and the log of Metacontroller. The first source of a kind waits for its "
        "`--discovery-interval`.",
        "kubectl logs -n {metacontroller_namespace} -l app.kubernetes.io/name=metacontroller --tail=20",
        READY_EMPTY,
        "no status or an old one, no events of the source",
    ),
    Reason.SUSPENDED: Entry(
        Step.SOURCE,
        "`spec.suspend` is true; see [Suspend a source](#suspend-a-source)",
        "Resume it when it should send events again.",
        'kubectl patch {resource} -n {namespace} {name} --type merge -p \'{{"spec": {{"suspend": false}}}}\'',
        "docs/operate.md#suspend-a-source",
        condition="Deployed, Ready False",
    ),
    Reason.SINK_MISSING: Entry(
        Step.SINK, "`spec.sink` has neither `ref` nor `uri`", "Set one of them.", EDIT, condition=_SINK
    ),
    Reason.INVALID_SINK: Entry(
        Step.SINK,
        "malformed, or an impossible combination",
        "Correct the field that the message names.",
        EDIT,
        condition=_SINK,
    ),
    Reason.SINK_KIND_NOT_ALLOWED: Entry(
        Step.SINK,
        "the kind is not in `SINK_KINDS`; the message lists it",
        "Allow the kind with `sinkKinds` of the chart or `sources manifests --sink-kinds`, or use `uri`.",
        EDIT,
        condition=_SINK,
    ),
    Reason.SINK_NAMESPACE_NOT_ALLOWED: Entry(
        Step.SINK,
        "the sink is in another namespace, and [`SINK_NAMESPACES`](security.md#sinks-in-other-namespaces) does not "
        "allow it",
        "Use a sink in one of the namespaces of the message.",
        EDIT,
        condition=_SINK,
    ),
    Reason.NOT_FOUND: Entry(
        Step.SINK,
        "the object does not exist",
        "Create it, or correct `ref`.",
        "kubectl get {sink_resource} -n {sink_namespace}",
        condition=_SINK,
    ),
    Reason.NOT_ADDRESSABLE: Entry(
        Step.SINK,
        "the object has no address",
        "Wait until it is ready, or refer to an addressable object.",
        "kubectl describe {sink_resource} -n {sink_namespace} {sink_name}",
        condition=_SINK,
    ),
    Reason.ADDRESS_NOT_FOUND: Entry(
        Step.SINK,
        "the named address or port does not exist, or the port is not a TCP port",
        "Set the port or address to one that the message lists.",
        "kubectl get {sink_resource} -n {sink_namespace} {sink_name} -o yaml",
        condition=_SINK,
    ),
    Reason.ADDRESS_INVALID: Entry(
        Step.SINK,
        "the address has no http(s) scheme or no host",
        "Correct the object that sets the address.",
        "kubectl get {sink_resource} -n {sink_namespace} {sink_name} -o yaml",
        condition=_SINK,
    ),
}

"""Reasons of deliveries, polls and checkpoints, in the order of causes."""

from __future__ import annotations

from sources_cli.cluster.reasons.entry import LOG, LOGS, TROUBLE, Entry, Fault, Step

_SINK_SHOWN = "kubectl get {sink_resource} -n {sink_namespace} {sink_name} -o yaml"

DELIVERY: dict[str, Entry] = {
    Fault.SINK_NOT_READY: Entry(
        Step.SINK,
        "The object of the sink reports that it is not ready.",
        "Repair it; its message is above.",
        "kubectl describe {sink_resource} -n {sink_namespace} {sink_name}",
        TROUBLE,
        "`Ready` of the sink is not `True`",
    ),
    Fault.SINK_WITHOUT_ENDPOINTS: Entry(
        Step.SINK,
        "The Service of the sink has no ready pod: its selector matches none, they are not ready, or its `targetPort` "
        "names a port that they do not have.",
        "Compare the selector and the `targetPort` of the Service with its pods.",
        "kubectl get endpointslices -n {sink_namespace} -l kubernetes.io/service-name={sink_name}",
        TROUBLE,
        "the sink's EndpointSlices have no ready address; the adapter logs `transport`",
    ),
    Fault.CHECKPOINT_NOT_USABLE: Entry(
        Step.DELIVERY,
        "The checkpoint cannot be read. The source sends nothing, so that no item is lost or repeated unnoticed.",
        "Use the image that wrote it. Or delete the record that the message names, then the pod.",
        LOG,
        "docs/checkpoints.md#stores",
        "the adapter logs `checkpoint not usable; the source does not start`",
    ),
    Fault.CHECKPOINT_STORE_DOWN: Entry(
        Step.DELIVERY,
        "The store of the checkpoint does not answer.",
        "Repair the store, or its URL and credentials in `spec.checkpoint`. The adapter retries.",
        LOG,
        "docs/checkpoints.md#when-the-store-is-down",
        "the adapter logs `checkpoint not loaded; will retry` or `checkpoint not saved; will retry`",
    ),
    Fault.UPSTREAM_FAILS: Entry(
        Step.DELIVERY,
        "The server that the source polls does not answer as it should.",
        "Correct its URL and credentials in `spec`, or repair the server. The adapter retries.",
        LOG,
        "docs/sources/poll.md",
        "the adapter logs `poll failed`",
    ),
    Fault.EVENT_LOOP_BLOCKED: Entry(
        Step.DELIVERY,
        "The code of the kind blocks the event loop, so nothing is sent.",
        "Await the call, or run it in a thread.",
        LOG,
        "docs/write-a-source.md#blocking-calls",
        "the adapter logs `the event loop is blocked`",
    ),
    Fault.SOURCE_ENDED: Entry(
        Step.DELIVERY,
        "The generator of the kind ended, so no more events come.",
        "Correct the code of the kind: a source runs until it is stopped.",
        LOG,
        LOGS,
        "the adapter logs `the source has no more events`",
    ),
    Fault.EVENT_INVALID: Entry(
        Step.DELIVERY,
        "The source made an event that cannot be sent.",
        "Correct the attribute that the message names, in the code of the kind or in `spec`.",
        LOG,
        LOGS,
        "the adapter logs `invalid event rejected`",
    ),
    Fault.REQUEST_FAILED: Entry(
        Step.DELIVERY,
        "The code of a listener raised an exception.",
        "Correct the code of the kind at the line that the message names.",
        LOG,
        LOGS,
        "the adapter logs `request failed`",
    ),
    Fault.PROXY_FAILS: Entry(
        Step.DELIVERY,
        "The proxy refused or failed: 407 asks for a user and a password, 403 forbids the host, 502 means that the "
        "proxy could not connect.",
        "Check the variables of the proxy in `spec.adapter.env`, and the rules of the proxy.",
        LOG,
        "docs/install.md#behind-a-proxy",
        "a reason that begins with `the proxy`",
    ),
    Fault.CREDENTIALS_UNUSABLE: Entry(
        Step.DELIVERY,
        "The adapter has no usable credentials: no token for `audience`, no token of `oauth2`, or a client "
        "certificate that cannot be used.",
        "Check `spec.sinkAuth` and the Secrets that it names.",
        LOG,
        "docs/credentials.md",
        "the adapter logs an attempt with the code `token` or `tls`",
    ),
    Fault.SINK_UNREACHABLE: Entry(
        Step.DELIVERY,
        "No connection to the sink, or no whole response in time: a wrong port, a NetworkPolicy, a host that does not "
        "exist, or a proxy that the adapter does not know.",
        "Check that the pods of the sink listen on the `targetPort`. For a host outside the cluster, see "
        "[Behind a proxy](install.md#behind-a-proxy).",
        _SINK_SHOWN,
        TROUBLE,
        "the adapter logs an attempt with the code `transport` or `timeout`, such as `no connection within …`",
    ),
    Fault.SINK_REFUSES: Entry(
        Step.DELIVERY,
        "The sink answers with a 3xx or 4xx: 401 and 403 mean wrong or missing credentials, 404 a wrong path, 400 an "
        "event that it does not understand.",
        "Correct the path in `spec.sink.uri` or the credentials in `spec.sinkAuth`, or change the sink.",
        LOG,
        "docs/delivery.md#what-is-retried",
        "the adapter logs an attempt with a code of 300 to 499",
    ),
    Fault.SINK_FAILS: Entry(
        Step.DELIVERY,
        "The sink answers with a 5xx.",
        "Look at the log of the sink.",
        _SINK_SHOWN,
        "docs/delivery.md#what-is-retried",
        "the adapter logs an attempt with a code of 500 or more",
    ),
    Fault.DEAD_LETTER_SINK_FAILS: Entry(
        Step.DELIVERY,
        "The dead letter sink does not accept events either, so they are lost, or their callers get an error.",
        "Check `spec.delivery.deadLetterSink`.",
        LOG,
        "docs/delivery.md#dead-letter-sink",
        "the adapter logs `dead letter sink did not accept the event`",
    ),
    Fault.EVENTS_DEAD_LETTERED: Entry(
        Step.DELIVERY,
        "The sink did not accept events. The dead letter sink has them.",
        "Correct the cause that the message names. Send the events of the dead letter sink again if you need them.",
        LOG,
        "docs/delivery.md#dead-letter-sink",
        "the adapter logs `event sent to the dead letter sink`",
    ),
    Fault.NOT_READY: Entry(
        Step.DELIVERY,
        "The adapter runs and reports that it is not ready.",
        "Remove the cause that the message names.",
        LOG,
        "docs/operate.md#probes",
        "`/readiness` of the pod answers 503 with the reason, or the pod is not ready",
    ),
}

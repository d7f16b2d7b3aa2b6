"""Services as sinks under a real API server: ports that speak TLS, UDP ports, ExternalNames, other namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.namespace import SourceNamespace, env_of

SERVICE = {"apiVersion": "v1", "kind": "Service"}


def create_service(ns: SourceNamespace, name: str, **spec: Any) -> Any:
    return ns.api.create({**SERVICE, "metadata": {"name": name, "namespace": ns.name}, "spec": spec})


def sink(name: str, **ref: Any) -> Any:
    return {"ref": {**SERVICE, "name": name, **ref}}


def test_service_port_that_speaks_tls_is_addressed_by_https(ns: SourceNamespace) -> None:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "web", "port": 8443, "appProtocol": "https"}]
    create_service(ns, "secure", selector={"app": "a"}, ports=ports)
    ns.source(sink=sink("secure"))
    url = f"https://secure.{ns.name}.svc.cluster.local:8443"
    assert ns.wait_until_ready()["status"]["sinkUri"] == url
    assert env_of(ns.deployment())["K_SINK"] == url


@pytest.mark.parametrize(
    ("spec", "port", "text"),
    [
        pytest.param(
            {"selector": {"app": "a"}, "ports": [{"port": 53, "protocol": "UDP"}]},
            53,
            "has only the UDP port 53, and events need TCP; choose another Service",
            id="udp",
        ),
        pytest.param(
            {"type": "ExternalName", "externalName": "api.example.com", "ports": [{"name": "web", "port": 80}]},
            "rest",
            "has no port rest; set spec.sink.ref.port to one of: 80 (web)",
            id="external-name",
        ),
    ],
)
def test_port_that_cannot_be_used_is_a_condition(ns: SourceNamespace, spec: Any, port: Any, text: str) -> None:
    create_service(ns, "other", **spec)
    ns.source(sink=sink("other", port=port))
    condition = ns.wait_for_condition("Ready", "False", "AddressNotFound")
    assert condition["message"] == f"Service {ns.name}/other {text}"
    assert ns.deployments() == []


def test_forbidden_namespace_is_a_condition_and_its_objects_are_not_asked_for(ns: SourceNamespace) -> None:
    """``default/kubernetes`` exists in each cluster, and its port speaks TLS."""
    ns.service()
    foreign = sink("kubernetes", namespace="default")
    ns.source("before", sink=foreign)
    assert ns.wait_until_ready("before")["status"]["sinkUri"] == "https://kubernetes.default.svc.cluster.local"
    proxy = ns.cluster.hook_proxy
    backends = list(proxy.backends)
    ns.add_cleanup(lambda: proxy.backends.__setitem__(slice(None), backends))
    proxy.backends[:] = [ns.cluster.start_hook(SINK_NAMESPACES="own")]
    ns.source(sink=foreign, delivery={"deadLetterSink": {"uri": "http://kubernetes.default.svc"}})
    condition = ns.wait_for_condition("Ready", "False", "SinkNamespaceNotAllowed")
    assert condition["message"].startswith("spec.sink.ref names an object in namespace default, which is not allowed; ")
    ns.wait_for_condition("DeadLetterSinkResolved", "False", "SinkNamespaceNotAllowed")
    assert all(not exchange.request["related"] for exchange in proxy.calls(ns.name, "hello"))
    ns.edit(sink=sink("display", namespace=ns.name))
    ns.wait_until_ready()
    ns.edit("before", interval="20s")
    ns.wait_for_condition("Ready", "False", "SinkNamespaceNotAllowed", "before")
    ns.wait_for_condition("Deployed", "True", name="before")  # it keeps its sink

"""The token for the audience of a sink, which only a real kubelet mounts."""

from __future__ import annotations

import base64
import json

from tests.cluster.api import eventually
from tests.e2e.cluster import Cluster
from tests.e2e.namespace import restricted_namespace


def test_sink_with_an_audience_receives_a_token_of_the_service_account(cluster: Cluster) -> None:
    with restricted_namespace(cluster) as ns:
        ns.start_display()
        ref = {"apiVersion": "v1", "kind": "Service", "name": "event-display"}
        ns.source(interval="500ms", sink={"ref": ref, "audience": "my-sink"})
        assert ns.wait_until_ready()["status"]["sinkAudience"] == "my-sink"
        [event, *_] = eventually(ns.displayed_events, bool, "an event at the display", details=ns.describe)
        scheme, _, token = event["headers"]["authorization"].partition(" ")
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert (scheme, claims["aud"]) == ("Bearer", ["my-sink"])
        assert claims["sub"] == f"system:serviceaccount:{ns.name}:default"
        [mounted] = ns.adapter()["spec"]["volumes"]
        assert mounted["name"] == "oidc-token"

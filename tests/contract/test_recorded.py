"""The hook answers a recorded request with the recorded response. The variables are those of Knative in its order.

After an intended change, ``python -m tests.contract.test_recorded`` rewrites the response; check the diff.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hooks.configmaps import MountedConfig
from hooks.controller import KindOptions, sync
from hooks.protocol import SyncRequest
from hooks.settings import Settings

HERE = Path(__file__).parent
NOW = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


def answer(body: Any = None) -> Any:
    request = SyncRequest.model_validate(body or json.loads((HERE / "sync-request.json").read_text()))
    settings = Settings(adapter_image="registry.local/sample-source:dev")
    options = KindOptions(types=("dev.knative.sample",))
    return sync(request, settings, now=NOW, observability=MountedConfig(None).for_kind("SampleSource"), options=options)


def test_recorded_request_gets_the_recorded_response() -> None:
    assert answer() == json.loads((HERE / "sync-response.json").read_text())


def test_environment_is_that_of_knative_with_additions_in_between() -> None:
    env = answer()["children"][0]["spec"]["template"]["spec"]["containers"][0]["env"]
    names = [variable["name"] for variable in env]
    ours = ("SOURCE_KIND", "SOURCE_UID", "SOURCE_CREATED", "SOURCE_CONFIG")
    knatives = ["EVENT_SOURCE", "INTERVAL", "NAMESPACE", "NAME", "METRICS_DOMAIN", "K_LOGGING_CONFIG",
                "K_KLOG_VERBOSITY", "K_OBSERVABILITY_CONFIG", "K_SINK", "K_CE_OVERRIDES"]  # fmt: skip
    assert [name for name in names if name not in ours] == knatives
    assert names.index("K_OBSERVABILITY_CONFIG") < names.index("SOURCE_KIND") < names.index("K_SINK")


def test_certificates_and_audience_follow_the_sink() -> None:
    request = json.loads((HERE / "sync-request.json").read_text())
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    request["parent"]["spec"]["sink"] |= {"CACerts": pem, "audience": "a"}
    env = answer(request)["children"][0]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [variable["name"] for variable in env][-4:] == ["K_SINK", "K_CA_CERTS", "K_AUDIENCE", "K_CE_OVERRIDES"]


def test_no_variable_has_an_empty_value() -> None:
    """The API server removes an empty value, and Metacontroller would add it again with every sync."""
    env = answer()["children"][0]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [variable["name"] for variable in env if variable.get("value") == ""] == []
    assert {"name": "K_LOGGING_CONFIG"} in env


if __name__ == "__main__":
    (HERE / "sync-response.json").write_text(json.dumps(answer(), indent=2) + "\n")

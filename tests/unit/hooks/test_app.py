"""The HTTP API: its description in OpenAPI, its health, and what the process imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from hooks.app import create_app, options_from
from hooks.checkpoint import POD
from hooks.configmaps import MountedConfig
from hooks.controller import KindOptions
from hooks.serving.health import pages
from hooks.serving.metrics import HookMetrics
from hooks.settings import Settings
from tests.unit.hooks.hook import SETTINGS, URL_SINK, parent

CLIENT = TestClient(create_app(SETTINGS))
API = CLIENT.get("/openapi.json").json()
ONE_OF = "set exactly one of none, pod, url and volume"


def schema_of(path: str, method: str, status: str) -> Any:
    return API["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]


@pytest.mark.parametrize(
    ("path", "request_model", "response_model", "errors"),
    [
        ("/sync", "SyncRequest", "SyncResponse", ["400", "422"]),
        ("/customize", "CustomizeRequest", "CustomizeResponse", ["4XX"]),
    ],
)
def test_openapi_describes_request_response_and_errors(
    path: str, request_model: str, response_model: str, errors: list[str]
) -> None:
    operation = API["paths"][path]["post"]
    assert operation["requestBody"]["required"] is True
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": f"#/components/schemas/{request_model}"}
    assert list(operation["responses"]) == ["200", *errors]
    assert schema_of(path, "post", "200") == {"$ref": f"#/components/schemas/{response_model}"}
    assert {schema_of(path, "post", error)["$ref"] for error in errors} == {"#/components/schemas/Error"}
    names = [parameter["name"] for parameter in operation["parameters"]]
    expected = "types typeField polls image sinkKinds diagnosePods adapter copiedLabels checkpoint pool"
    assert names == expected.split()
    assert all(parameter["description"] for parameter in operation["parameters"])


def test_openapi_describes_the_status_of_the_crds() -> None:
    assert list(API["paths"]) == ["/sync", "/customize"]
    status = API["components"]["schemas"]["SyncResponse"]["properties"]["status"]
    assert status == {"$ref": "#/components/schemas/Status"}
    assert API["components"]["schemas"]["Status"]["required"] == ["conditions"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_that_load_scripts_from_a_cdn_are_disabled(path: str) -> None:
    assert CLIENT.get(path).status_code == 404


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (b"", KindOptions()),
        (b"types=a,b,&typeField=eventType", KindOptions(types=("a", "b"), type_field="eventType")),
        (b"image=kind:1&sinkKinds=v1%2FService", KindOptions(image="kind:1", sink_kinds=("v1/Service",))),
        (b"polls=true", KindOptions(polls=True)),
        (b"diagnosePods=true", KindOptions(diagnose_pods=True)),
        (b"diagnosePods=false", KindOptions(diagnose_pods=False)),
        (b"adapter=%7B%22labels%22:%7B%22a%22:null%7D%7D", KindOptions(adapter={"labels": {"a": None}})),
        (b"polls=true&checkpoint=%7B%22pod%22:%7B%7D%7D", KindOptions(polls=True, checkpoint=POD)),
        (
            b"copiedLabels=team,example.com/cost-center,team",
            KindOptions(copied_labels=("team", "example.com/cost-center")),
        ),
    ],
)
def test_query_parameters_become_options(query: bytes, options: KindOptions) -> None:
    assert options_from(query) == options


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (
            "sinkKinds=Broker",
            'query parameter sinkKinds is "Broker": "Broker" is not <apiVersion>/<Kind>; write one like '
            "eventing.knative.dev/v1/Broker",
        ),
        ("diagnosePods=yes", 'query parameter diagnosePods is "yes": write true or false'),
        (
            "copiedLabels=a%20b",
            'query parameter copiedLabels is "a b": "a b" is not the name of a label; write one like team or '
            "example.com/cost-center",
        ),
        (
            "adapter={",
            "query parameter adapter is not JSON: EOF while parsing an object at line 1 column 1; write an object",
        ),
        ("adapter=[]", "query parameter adapter is an empty list: write an object"),
        ("checkpoint=[]", f"query parameter checkpoint is not an object: {ONE_OF}"),
        (
            "checkpoint={",
            "query parameter checkpoint is not JSON: EOF while parsing an object at line 1 column 1; write an object",
        ),
        ("checkpoint={}", f"query parameter checkpoint is an empty object: {ONE_OF}"),
        (
            "checkpoint=%7B%22volume%22:%7B%22claimName%22:%22A%22%7D%7D",
            "query parameter checkpoint.volume.claimName is a text: write the name of an object",
        ),
        (
            "adapter=%7B%22resources%22:%7B%22limits%22:%7B%22memory%22:%22x%22%7D%7D%7D",
            'query parameter adapter.resources.limits.memory is "x": write bytes like "256Mi", at least 1Mi',
        ),
    ],
)
@pytest.mark.parametrize("path", ["/sync", "/customize"])
def test_invalid_query_parameter_returns_400(path: str, query: str, error: str) -> None:
    response = CLIENT.post(f"{path}?{query}", json={"parent": parent({"sink": URL_SINK})})
    assert (response.status_code, response.json()) == (400, {"error": error})


def test_healthz_lists_invalid_config_maps(tmp_path: Path) -> None:
    directory = tmp_path / "config-logging"
    directory.mkdir()
    (directory / "klog-verbosity").write_text("x")
    mounted = MountedConfig(tmp_path)
    client = TestClient(create_app(Settings(adapter_image="a:1", config_dir=tmp_path), mounted=mounted))
    healthz = pages(mounted.problems.values, HookMetrics(tuple))["/healthz"]
    assert json.loads(healthz().body) == {"status": "ok", "problems": []}
    client.post("/sync", json={"parent": parent({"sink": URL_SINK})})
    problem = 'config-logging: klog-verbosity is "x", write a number from 0 to 9; the last valid content stays in use'
    assert json.loads(healthz().body) == {"status": "ok", "problems": [problem]}


def test_hook_loads_only_the_contract_and_serving_packages_of_the_adapter() -> None:
    code = "import hooks.app, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    ours = {".".join(name.split(".")[:2]) for name in loaded if name.split(".")[0] in ("adapter", "sources_cli")}
    assert ours <= {"adapter", "adapter.contract", "adapter.serving"}
    assert "adapter.contract.environment" in loaded

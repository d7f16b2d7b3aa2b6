"""The process ``python -m hooks`` over HTTP: each response is one JSON object, for any request."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.harness import DEADLINE_S, RunningHook, free_port, processes, running_hook, wait_until

ROOT = Path(__file__).resolve().parents[2]
REQUEST = json.loads((ROOT / "tests/contract/sync-request.json").read_text())


@pytest.fixture(scope="module")
def hook() -> Iterator[RunningHook]:
    with running_hook() as started:
        yield started


def changed(path: str, value: Any) -> bytes:
    """The recorded request with another value at a dotted path."""
    request = json.loads(json.dumps(REQUEST))
    *parents, last = path.split(".")
    target = request
    for name in parents:
        target = target[name]
    target[last] = value
    return json.dumps(request).encode()


def without(path: str) -> bytes:
    request = json.loads(changed(path, None))
    *parents, last = path.split(".")
    target = request
    for name in parents:
        target = target[name]
    del target[last]
    return json.dumps(request).encode()


def with_running_adapter(hook: RunningHook) -> Any:
    """The recorded request, with the Deployment that the hook wants."""
    child = hook.call("/sync", json.dumps(REQUEST).encode())[1]["children"][0]
    request = json.loads(json.dumps(REQUEST))
    request["children"]["Deployment.apps/v1"] = {f"default/{child['metadata']['name']}": child}
    return request


@pytest.mark.parametrize("path", ["/sync", "/customize"])
@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"{", "not JSON", id="broken"),
        pytest.param(b'{"parent": NaN', "not JSON", id="nan"),
        pytest.param(b"\xff\xfe", "not JSON", id="no-utf-8"),
        pytest.param(b"null", "the body is null", id="null"),
        pytest.param(b"[1]", "the body is a list with 1 item: write an object;", id="array"),
        pytest.param(b'"x"', 'the body is "x"', id="string"),
        pytest.param(b"{}", "parent is missing; post a Metacontroller ", id="no-parent"),
        pytest.param(b"[" * 100_000, "not JSON", id="deep"),
        pytest.param(changed("parent", []), "parent is an empty list: write an object;", id="parent-array"),
        pytest.param(changed("parent.kind", 7), "parent.kind is 7", id="kind-number"),
        pytest.param(changed("parent.kind", "lower"), 'parent.kind is "lower"', id="kind-lower-case"),
        pytest.param(changed("parent.metadata.name", ""), 'parent.metadata.name is ""', id="no-name"),
        pytest.param(changed("parent.spec", "x"), 'parent.spec is "x": write an object;', id="spec-string"),
        pytest.param(without("parent.metadata.uid"), "parent.metadata.uid is missing;", id="no-uid"),
        pytest.param(
            changed("parent.metadata.annotations", {"a": "b", "c": 1}),
            "parent.metadata.annotations.c is 1: write a string;",
            id="annotation-number",
        ),
        pytest.param(
            changed("parent.metadata.name", {"a": "secret"}),
            "metadata.name is an object with the key a: ",
            id="name-object",
        ),
    ],
)
def test_malformed_request_is_a_400_with_field_and_value(hook: RunningHook, path: str, body: bytes, named: str) -> None:
    status, answer = hook.call(path, body)
    assert status == 400
    assert list(answer) == ["error"]
    assert named in answer["error"]
    assert "\n" not in answer["error"]
    assert "secret" not in answer["error"]  # no member of an object


@pytest.mark.parametrize(
    ("path", "value", "error"),
    [
        pytest.param("children", 1, "children is 1: ", id="children-number"),
        pytest.param("children", None, "children is null: ", id="children-null"),
        pytest.param("children", {"A.b/v1": []}, "children.A.b/v1 is an empty list: ", id="group-array"),
        pytest.param("related", {"A.v1": {"a/b": 1}}, "related.A.v1.a/b is 1: ", id="object-number"),
    ],
)
def test_sync_with_malformed_children_is_a_400(hook: RunningHook, path: str, value: Any, error: str) -> None:
    status, answer = hook.call("/sync", changed(path, value))
    assert (status, list(answer)) == (400, ["error"])
    assert answer["error"] == f"{error}write an object; post a Metacontroller SyncRequest"


def test_unknown_fields_are_ignored(hook: RunningHook) -> None:
    expected = hook.call("/sync", json.dumps(REQUEST).encode())
    assert expected[0] == 200
    extended = json.loads(changed("parent.metadata.tomorrow", 1)) | {"new": {"in": "4.18"}}
    assert hook.call("/sync", json.dumps(extended).encode())[1]["children"] == expected[1]["children"]


@pytest.mark.parametrize(
    ("path", "method", "status", "error"),
    [
        (
            "/nowhere",
            "GET",
            404,
            'no path "/nowhere"; use POST /sync, /customize, /pool/sync or /pool/customize, or GET /openapi.json',
        ),
        ("/sync/", "POST", 404, 'no path "/sync/"; use POST /sync, '),
        ("/a%0Ab", "GET", 404, r'no path "/a\nb"; use POST /sync, '),
        ("/sync", "GET", 405, '"/sync" does not allow GET; use POST'),
        ("/customize", "PUT", 405, '"/customize" does not allow PUT; use POST'),
        ("/healthz", "GET", 404, 'no path "/healthz"; use POST /sync, '),
    ],
)
def test_unknown_path_or_method_is_a_4xx_that_says_what_to_use(
    hook: RunningHook, path: str, method: str, status: int, error: str
) -> None:
    answered, answer = hook.call(path, method=method)
    assert (answered, list(answer)) == (status, ["error"])
    assert answer["error"].startswith(error)


def test_caller_that_closes_the_connection_within_a_request_leaves_no_traceback() -> None:
    with running_hook() as hook:
        with socket.create_connection(("127.0.0.1", int(hook.url.rpartition(":")[2]))) as caller:
            caller.sendall(b"POST /sync HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{")
        assert hook.healthz()["status"] == "ok"


def test_fifty_aborted_requests_write_no_line() -> None:
    with running_hook() as hook:
        for n in range(50):
            with socket.create_connection(("127.0.0.1", int(hook.url.rpartition(":")[2]))) as caller:
                caller.sendall(b"POST /sync HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n" + b"{" * n)
        assert hook.healthz()["status"] == "ok"
        assert [json.loads(line)["msg"] for line in hook.process.errors] == ["listening"]


def test_body_that_is_too_large_is_one_line_that_names_the_setting_and_a_count_at_the_end() -> None:
    with running_hook(MAX_BODY_BYTES="65536") as hook:
        process = hook.process
        for _ in range(3):
            assert hook.call("/sync", b" " * 65537)[0] == 413
            assert hook.call("/sync", b"[" + b"{}," * 20_000 + b"{}]")[0] == 413
    refused = [json.loads(line) for line in process.errors if "request refused" in line]
    reasons = ["the body is longer than 65536 bytes", "the body has too many JSON values for its memory"]
    assert [(line["reason"], line["count"]) for line in refused] == [(each, n) for n in (1, 2) for each in reasons]
    assert {line["remedy"] for line in refused} == {
        "raise MAX_BODY_BYTES, which is 65536, and the memory limit of the hook; for /pool/sync, raise "
        "MAX_POOL_BODY_BYTES"
    }


def test_rejected_syncs_of_a_source_are_one_line_and_a_count_at_the_end_and_no_value_forges_a_line() -> None:
    with running_hook() as hook:
        process, request = hook.process, with_running_adapter(hook)
        request["parent"]["spec"]["interval"] = '1\n{"msg": "forged"}\u2028{"msg": "forged"}'
        for _ in range(50):
            assert hook.call("/sync", json.dumps(request).encode())[0] == 422
    lines = [json.loads(line) for line in process.errors]
    assert [(line["msg"], line.get("count")) for line in lines] == [
        ("listening", None),
        ("sync rejected", 1),
        ("sync rejected", 49),
    ]
    assert (lines[1]["kind"], lines[1]["namespace"], lines[1]["name"]) == ("SampleSource", "default", "hello")
    assert "spec.interval" in lines[1]["reason"]


def test_invalid_spec_is_a_422_while_an_adapter_runs(hook: RunningHook) -> None:
    request = with_running_adapter(hook)
    request["parent"]["spec"]["interval"] = "soon"
    assert hook.call("/sync", changed("parent.spec.interval", "soon"))[1]["children"] == []
    status, answer = hook.call("/sync", json.dumps(request).encode())
    assert status == 422
    assert "spec.interval" in answer["error"]
    assert "soon" in answer["error"]


def test_unusable_config_map_is_reported_by_healthz_and_changes_no_adapter(tmp_path: Path) -> None:
    directory = tmp_path / "config-observability"
    directory.mkdir()
    key = directory / "metrics-protocol"
    key.write_text("prometheus")
    with running_hook(CONFIG_DIR=str(tmp_path)) as hook:
        before = hook.call("/sync", json.dumps(REQUEST).encode())[1]["children"]
        assert "prometheus" in json.dumps(before)
        assert hook.healthz() == {"status": "ok", "problems": []}
        key.write_text("stackdriver!")
        assert hook.call("/sync", json.dumps(REQUEST).encode())[1]["children"] == before
        (problem,) = hook.healthz()["problems"]
        assert 'metrics-protocol is "stackdriver!"' in problem


@pytest.mark.parametrize("path", ["/sync", "/customize"])
def test_unknown_query_parameter_is_a_400_that_lists_the_known_ones(hook: RunningHook, path: str) -> None:
    status, answer = hook.call(f"{path}?types=a&type=b", json.dumps(REQUEST).encode())
    known = "types, typeField, polls, image, sinkKinds, diagnosePods, adapter, copiedLabels, checkpoint, pool"
    assert (status, answer) == (400, {"error": f'unknown query parameter "type"; known parameters: {known}'})


@pytest.mark.parametrize("path", ["/sync", "/customize"])
def test_repeated_query_parameter_is_a_400_that_names_it(hook: RunningHook, path: str) -> None:
    status, answer = hook.call(f"{path}?types=a&image=b&types=", json.dumps(REQUEST).encode())
    assert (status, answer) == (400, {"error": "query parameter types is given 2 times; write it once"})


@pytest.mark.parametrize(("level", "requests"), [("info", 0), ("debug", 2)])
def test_log_has_one_line_when_the_hook_listens_and_at_debug_one_per_request(level: str, requests: int) -> None:
    port = free_port()
    with processes() as run:
        own = {"ADAPTER_IMAGE": "a:1", "HOST": "127.0.0.1", "PORT": str(port), "HEALTH_PORT": "0"}
        process = run("hooks", **own, LOG_LEVEL=level)
        wait_until(lambda: process.errors, "the first line", lambda: process.errors)
        hook = RunningHook(f"http://127.0.0.1:{port}", process)
        assert hook.call("/openapi.json")[0] == 200
        assert hook.call("/nowhere")[0] == 404
        assert process.stop()[0] == 0
    first = json.loads(process.errors[0])
    assert (first["level"], first["msg"], first["host"], first["port"]) == ("info", "listening", "127.0.0.1", port)
    assert 0 < first["health_port"] != port
    logged = [line for line in map(json.loads, process.errors) if line["msg"] == "request"]
    expected = [("GET", "/openapi.json", 200), ("GET", "/nowhere", 404)][:requests]
    assert [(line["method"], line["path"], line["status"]) for line in logged] == expected
    assert level == "debug" or len(process.errors) == 1


def test_unusable_setting_is_one_line_and_exit_code_2() -> None:
    done = start(ADAPTER_IMAGE="")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("ADAPTER_IMAGE")


@pytest.mark.parametrize("name", ["PORT", "HEALTH_PORT"])
def test_port_in_use_is_one_line_and_exit_code_3(name: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = start(**{"ADAPTER_IMAGE": "a:1", "HOST": "127.0.0.1", "PORT": str(free_port()), name: str(port)})
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert f" {name} {port}: " in done.stderr


@pytest.mark.parametrize(
    "name", ["sources_cli", "adapter.model.source", "adapter.delivery.delivery", "httpx2", "yaml", "jinja2"]
)
def test_hook_does_not_import(name: str) -> None:
    code = f"import sys, hooks.__main__, hooks.app, uvicorn; print({name!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_signal_during_the_imports_ends_the_hook_with_exit_code_0(tmp_path: Path, number: str) -> None:
    """A module with the name of a library sends the signal when it is imported."""
    (tmp_path / "uvicorn.py").write_text(f"import os, signal\nos.kill(os.getpid(), signal.{number})\n")
    done = start(ADAPTER_IMAGE="a:1", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def start(**environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hooks"]
    env = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


@pytest.mark.parametrize("path", ["/sync", "/customize"])
def test_invalid_sink_kinds_are_a_400(hook: RunningHook, path: str) -> None:
    body = json.dumps(REQUEST).encode()
    status, answer = hook.call(f"{path}?sinkKinds=v1/Service,Broker", body)
    assert status == 400
    assert answer["error"].startswith(
        'query parameter sinkKinds is "v1/Service,Broker": "Broker" is not <apiVersion>/<Kind>; write one'
    )

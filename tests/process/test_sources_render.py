"""``sources render`` prints the response of the hook; its exit code tells whether every source would run."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.process.harness import running_hook
from tests.process.sources import QUICKSTART, source_without_sink, sources


def test_json_output_is_the_response_of_the_hook() -> None:
    result = sources("render", QUICKSTART, "-o", "json", "--image", "adapter:1")
    assert (result.returncode, result.stderr) == (0, "")
    rendered = json.loads(result.stdout)
    child = rendered["children"][0]
    env = {entry["name"]: entry.get("value") for entry in child["spec"]["template"]["spec"]["containers"][0]["env"]}
    service = next(document for document in yaml.safe_load_all(QUICKSTART.read_text()) if document["kind"] == "Service")
    source = next(
        document for document in yaml.safe_load_all(QUICKSTART.read_text()) if document["kind"] == "SampleSource"
    )
    source["metadata"] |= {"uid": env["SOURCE_UID"], "creationTimestamp": "1970-01-01T00:00:00Z"}
    source["spec"] |= {"missed": "skip", "missedWindow": "1h0m0s"}  # defaults of the CRD
    request = {"parent": source, "children": {}, "related": {"Service.v1": {"default/event-display": service}}}
    with running_hook(ADAPTER_IMAGE="adapter:1") as hook:
        status, answer = hook.call("/sync?types=dev.knative.sample", json.dumps(request).encode())
    assert status == 200
    for side in (answer, rendered):
        for condition in side["status"]["conditions"]:
            del condition["lastTransitionTime"]  # the only field that differs between two calls
    assert json.dumps(rendered) == json.dumps(answer)


def test_output_is_reproducible_and_yaml_equals_json() -> None:
    first, second = sources("render", QUICKSTART), sources("render", QUICKSTART, "-o", "json")
    assert first.stdout.startswith("---\n# SampleSource default/hello\n")
    assert yaml.safe_load(first.stdout)["children"] == json.loads(second.stdout)["children"]


def test_list_on_standard_input_gives_the_same_output() -> None:
    documents = list(yaml.safe_load_all(QUICKSTART.read_text()))
    listed = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": documents})
    result = sources("render", "-", stdin=listed)
    assert (result.returncode, result.stderr) == (0, "")
    [document] = yaml.safe_load_all(result.stdout)
    assert document["children"] == yaml.safe_load(sources("render", QUICKSTART).stdout)["children"]


def test_source_that_would_not_run_is_reported_with_exit_code_1(tmp_path: Path) -> None:
    result = sources("render", source_without_sink(tmp_path))
    assert result.returncode == 1
    assert result.stderr.startswith("default/hello: NotFound: Service default/event-display does not exist")
    assert yaml.safe_load(result.stdout)["children"] == []


def test_unreadable_file_is_one_line_with_exit_code_2() -> None:
    result = sources("render", "no-such.yaml")
    assert (result.returncode, result.stderr) == (2, "sources: no-such.yaml: No such file or directory\n")


def test_missing_fields_get_the_defaults_of_the_crd(tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(QUICKSTART.read_text().replace("  interval: 1s\n", "  serviceAccountName: null\n"))
    [container] = json.loads(sources("render", file, "-o", "json").stdout)["children"][0]["spec"]["template"]["spec"][
        "containers"
    ]
    assert {"name": "INTERVAL", "value": "10s"} in container["env"]


def test_status_lists_the_event_type_of_the_spec(tmp_path: Path) -> None:
    source = {
        "apiVersion": "samples.knative.dev/v1alpha1",
        "kind": "PollSource",
        "metadata": {"name": "orders"},
        "spec": {"url": "http://h", "eventType": "com.example.order", "sink": {"uri": "http://sink"}},
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(source))
    result = sources("render", tmp_path / "a.yaml", "-o", "json")
    assert [attributes["type"] for attributes in json.loads(result.stdout)["status"]["ceAttributes"]] == [
        "com.example.order"
    ]

"""The page about the fields of every source: each has an example, and the examples do what the page says."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import yaml

from hooks.pod_settings.fields import AdapterFields
from sources_cli.schema.shared_spec import SharedSpec
from tests.pages import blocks, names_in_first_cells, section
from tests.process.doc_checks import source_with
from tests.process.sources import QUICKSTART, sources

PAGE = "docs/reference/spec.md"


@cache
def rendered(field: str) -> Any:
    """The hook's response to the quickstart with the example of ``field``."""
    [example] = blocks(PAGE, f"## spec.{field}")
    objects = list(yaml.safe_load_all(QUICKSTART.read_text()))[:-1]
    source = source_with(yaml.safe_load(example.text))
    assert field in source["spec"]
    done = sources("render", "-o", "json", "-", stdin=yaml.safe_dump_all([*objects, source]))
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def environ(response: Any) -> dict[str, str]:
    [deployment] = response["children"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


@pytest.mark.parametrize("field", [name for name in SharedSpec.model_fields if name != "sink"])
def test_each_field_has_an_example_that_the_hook_accepts(field: str) -> None:
    assert rendered(field)["children"]


def test_service_account_is_that_of_the_pod_and_of_the_status() -> None:
    response = rendered("serviceAccountName")
    pod = response["children"][0]["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("orders-reader", False)
    assert response["status"]["auth"] == {"serviceAccountName": "orders-reader"}
    [token] = [source["serviceAccountToken"] for volume in pod["volumes"] for source in volume["projected"]["sources"]
               if "serviceAccountToken" in source]  # fmt: skip
    assert token["audience"] == "event-display"


def test_suspended_source_of_the_example_has_no_replica() -> None:
    [deployment] = rendered("suspend")["children"]
    assert deployment["spec"]["replicas"] == 0


def test_checkpoint_of_the_example_is_read_from_its_secret() -> None:
    [deployment] = rendered("checkpoint")["children"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    reference = {"secretKeyRef": {"name": "checkpoints", "key": "url"}}
    assert {"name": "CHECKPOINT_URL", "valueFrom": reference} in container["env"]


def test_extensions_of_the_example_reach_the_adapter() -> None:
    overrides = environ(rendered("ceOverrides"))["K_CE_OVERRIDES"]
    assert json.loads(overrides) == {"extensions": {"team": "orders", "stage": "test"}}


def test_delivery_of_the_example_reaches_the_adapter() -> None:
    variables = environ(rendered("delivery"))
    assert json.loads(variables["SOURCE_DELIVERY"])["retry"] == 3
    assert variables["DEAD_LETTER_SINK"] == "http://dead-letters.default.svc.cluster.local/orders"


def test_page_of_pod_settings_lists_all_fields_and_shows_each() -> None:
    names = set(AdapterFields.model_fields)
    assert names_in_first_cells(section("docs/pod-settings.md", "## Fields"), "[A-Za-z]+") == names
    example = next(block for block in blocks("docs/pod-settings.md") if block.language == "yaml")
    assert yaml.safe_load(example.text)["spec"]["adapter"].keys() == names

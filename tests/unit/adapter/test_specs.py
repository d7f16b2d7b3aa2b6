"""What the API server takes (tests/contract/specs.yaml), hook and adapter take too: a mistake is told at apply."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.environment import AdapterEnv, EnvError
from adapter.loading import load_source
from hooks.controller import KindOptions, sync
from hooks.observability import Observability
from hooks.protocol import SyncRequest
from sources_cli.admission.class_checks import own_violations
from sources_cli.admission.validate import stored
from sources_cli.kind import Kind, kind_named
from sources_cli.local.environ import container_environ
from sources_cli.schema.crd import spec_schema
from tests.unit.hooks.hook import NOW, SETTINGS, parent
from tests.unit.sources_cli.admission.test_lint_table import PACKAGES, ROWS

TAKEN = [row for row in ROWS if "says" not in row]
# What the CRD does not say: the adapter ends with exit code 2 and a line. A rule in the CRD makes a name here stale.
BEYOND_THE_CRD = {
    # CEL has no JMESPath, and cannot read a certificate.
    "items that are no JMESPath", "items of JSONPath", "items by an unknown function", "an id that is no JMESPath",
    "CACerts without content",
    # The API server looks for a time in texts only, and lets a list pass.
    "an empty list in place of a time",
}  # fmt: skip


def source_of(row: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    name = row.get("kind", "SampleSource")
    kind = kind_named(name, PACKAGES[name])
    source = {**parent(stored(spec_schema(kind), row["spec"])), **row.get("object", {})}
    return kind, {**source, "apiVersion": kind.api_version, "kind": name}


def environ_of(row: dict[str, Any]) -> dict[str, str] | None:
    """What its adapter would get, each secret with the same value; None where its sink has yet to be found."""
    kind, source = source_of(row)
    source["metadata"] = {**parent({})["metadata"], **source["metadata"]}
    children: dict[str, Any] = {"Deployment.apps/v1": {}, **({"Service.v1": {}} if kind.listens else {})}
    request = SyncRequest.model_validate({"parent": source, "children": children})
    answer = sync(request, SETTINGS, now=NOW, config=lambda kind: Observability(), options=KindOptions())
    reasons = {it.get("reason") for it in answer["status"]["conditions"]}
    assert not reasons & {"InvalidSpec", "InvalidSink"}, answer["status"]
    if not answer["children"]:
        return None
    [container] = answer["children"][0]["spec"]["template"]["spec"]["containers"]
    listed = [{"name": it["name"], "value": "s3cret"} if is_secret(it) else it for it in container["env"]]
    environ = container_environ(listed, {"metadata.namespace": "ns"}, {})
    return environ | {"SOURCES_PACKAGE": kind.package}


def is_secret(variable: dict[str, Any]) -> bool:
    return bool({"secretKeyRef", "configMapKeyRef"} & variable.get("valueFrom", {}).keys())


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in TAKEN])
def test_what_the_api_server_takes_the_adapter_takes(row: dict[str, Any]) -> None:
    environ = environ_of(row)
    said = None
    try:
        source = environ and load_source(AdapterEnv.from_environ(environ))
        assert source is None or type(source).__name__ == row.get("kind", "SampleSource")
    except EnvError as error:
        said = str(error)
    assert (said is not None) == (row["name"] in BEYOND_THE_CRD), said


def test_what_is_beyond_the_crd_is_taken_by_the_api_server_and_told_by_lint() -> None:
    told = {row["name"] for row in TAKEN if own_violations(*source_of(row))}
    assert told == BEYOND_THE_CRD

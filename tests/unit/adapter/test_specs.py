"""Hook and adapter accept what the API server accepts (tests/contract/specs.yaml): kubectl apply shows mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.declarations import EnvError
from adapter.contract.environment import AdapterEnv
from adapter.loading import load_source
from adapter.model.http_auth import read_sink_auth
from adapter.net.credentials import NONE
from hooks.controller import KindOptions, sync
from hooks.observability import Observability
from hooks.protocol import SyncRequest
from hooks.source import InvalidSpec
from sources_cli.admission.class_checks import class_violations
from sources_cli.admission.validate import stored
from sources_cli.kind import Kind, kind_named
from sources_cli.local.environ import container_environ
from sources_cli.schema.crd import spec_schema
from tests.contract.spec_rows import ROWS, package_of
from tests.unit.hooks.hook import NOW, SETTINGS, parent

ACCEPTED = [row for row in ROWS if "says" not in row]
# The CRD cannot express these rules, so the hook answers InvalidSpec, or the adapter exits with code 2. A new rule in
# the CRD makes a name here stale.
BEYOND_THE_CRD = {
    # CEL has no JMESPath and cannot parse a certificate.
    "items that are no JMESPath", "items of JSONPath", "items by an unknown function", "an id that is no JMESPath",
    "CACerts without content",
    # CEL needs too much time to compare all names.
    "headers that differ in case",
    # CEL knows neither cron nor time zones, and a date is a text.
    "a cron schedule with an hour that does not exist", "a cron schedule that is never due",
    "a cron schedule every five minutes by name", "a time zone that does not exist",
    "an excluded date that does not exist",
    # The API server checks the format of a time in strings only, and accepts a list.
    "an empty list in place of a time",
}  # fmt: skip


def source_of(row: dict[str, Any]) -> tuple[Kind, dict[str, Any]]:
    name = row.get("kind", "SampleSource")
    kind = kind_named(name, package_of(name))
    source = {**parent(stored(spec_schema(kind), row["spec"])), **row.get("object", {})}
    return kind, {**source, "apiVersion": kind.api_version, "kind": name}


def environ_of(row: dict[str, Any]) -> dict[str, str] | None:
    """The environment of its adapter, with one value for all secrets; None if the sink is not resolved.

    ``InvalidSpec`` if the hook refuses it.
    """
    kind, source = source_of(row)
    labels = source["metadata"].get("labels") or {}
    stored_labels = {name: "" if value is None else value for name, value in labels.items()}  # by the API server
    source["metadata"] = {**parent({})["metadata"], **source["metadata"], "labels": stored_labels}
    children: dict[str, Any] = {"Deployment.apps/v1": {}, **({"Service.v1": {}} if kind.listens else {})}
    request = SyncRequest.model_validate({"parent": source, "children": children})
    answer = sync(request, SETTINGS, now=NOW, observability=Observability(), options=KindOptions())
    problems = {condition.get("reason"): condition.get("message") for condition in answer["status"]["conditions"]}
    assert "InvalidSink" not in problems, problems
    if "InvalidSpec" in problems:
        raise InvalidSpec(problems["InvalidSpec"])
    if not answer["children"]:
        return None
    [container] = answer["children"][0]["spec"]["template"]["spec"]["containers"]
    variables = [{"name": v["name"], "value": secret_value(v["name"])} if is_secret(v) else v for v in container["env"]]
    environ = container_environ(variables, {"metadata.namespace": "ns"}, {})
    return environ | {"SOURCES_PACKAGE": kind.package}


def secret_value(name: str) -> str:
    return "redis://store" if name == "CHECKPOINT_URL" else "s3cret"


def is_secret(variable: dict[str, Any]) -> bool:
    return bool({"secretKeyRef", "configMapKeyRef"} & variable.get("valueFrom", {}).keys())


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in ACCEPTED])
def test_adapter_accepts_what_the_api_server_accepts(row: dict[str, Any]) -> None:
    problem = None
    try:
        if environ := environ_of(row):
            env = AdapterEnv.from_environ(environ)
            assert type(load_source(env)).__name__ == row.get("kind", "SampleSource")
            for variable, auth in (("SINK_AUTH", env.sink_auth), ("DEAD_LETTER_SINK_AUTH", env.dead_letter_sink_auth)):
                assert (read_sink_auth(env, variable, auth) == NONE) == (auth is None)
    except (EnvError, InvalidSpec) as error:
        problem = str(error)
    assert (problem is not None) == (row["name"] in BEYOND_THE_CRD), problem


def test_lint_finds_what_the_crd_cannot_express() -> None:
    found = {row["name"] for row in ACCEPTED if class_violations(*source_of(row))}
    assert found == BEYOND_THE_CRD

"""``spec.adapter`` under a real API server: it accepts the values that the hook accepts, and stores them unchanged.

``LONG=1`` tests 1,500 values that may be invalid.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from hooks.pod_settings.read import read
from hooks.pod_settings.settings import InvalidSettings, PodSettings
from sources_cli.schema.crd import crd
from tests.cluster.api import Api, ApiError, Object
from tests.cluster.control_plane import ControlPlane
from tests.cluster.local_cluster import KIND
from tests.cluster.restricted import RESTRICTED, create_priority_classes
from tests.property import pod_settings
from tests.unit.hooks.hook import answer

TRIES = 1500 if os.environ.get("LONG") else 100
NAMESPACE = "restricted"
Json = Any


@pytest.fixture(scope="module")
def api(bare_api_server: ControlPlane) -> Api:
    """With the CRD, and a namespace that enforces ``restricted``."""
    api = bare_api_server.api
    api.serve(crd(KIND))
    api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}})
    api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}})
    create_priority_classes(api)
    return api


def refusal(api: Api, document: Object) -> str:
    try:
        api.create(document, dry_run=True)
    except ApiError as error:
        return str(error)
    return ""


def read_or_none(value: Json) -> PodSettings | None:
    try:
        return read(value, "spec.adapter")
    except InvalidSettings:
        return None


@settings(max_examples=TRIES, deadline=None, suppress_health_check=[*HealthCheck])
@given(value=pod_settings.mutated())
def test_api_server_and_hook_accept_the_same_values_and_store_them_unchanged(api: Api, value: Json) -> None:
    metadata = {"name": "hello", "namespace": NAMESPACE}
    spec = {"sink": {"uri": "http://h"}, "adapter": value}
    source = {"apiVersion": KIND.api_version, "kind": KIND.name, "metadata": metadata, "spec": spec}
    found = read_or_none(value)
    refused_by_crd = refusal(api, source)
    assert (refused_by_crd == "") == (found is not None), refused_by_crd
    if found is None or (found.grace_period_s is not None and found.grace_period_s < 100):
        return  # no rule of a CRD can compute the least grace period
    [deployment] = answer({"sink": {"uri": "http://h"}, "adapter": value})["children"]
    stored = api.create(deployment, dry_run=True)
    assert list(differences(deployment["spec"], stored["spec"])) == []
    template = deployment["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], **metadata},
        "spec": template["spec"],
    }
    assert refusal(api, pod) == ""


def differences(written: Json, stored: Json, path: str = "") -> Iterator[str]:
    """Where the API server stores another value than the written one. It may add fields."""
    if isinstance(written, dict) and isinstance(stored, dict):
        for key, value in written.items():
            yield from differences(value, stored.get(key), f"{path}.{key}")
    elif isinstance(written, list) and isinstance(stored, list) and len(written) == len(stored):
        for index, pair in enumerate(zip(written, stored, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif written != stored:
        yield f"{path} was {written!r} and is {stored!r}"

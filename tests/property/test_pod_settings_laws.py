"""Properties of ``spec.adapter``: one canonical form per value, the CRD and the hook agree, ``restricted`` holds."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from adapter.contract.formats import sorted_json
from hooks.children.deployment import TEMPLATE_HASH
from hooks.pod_settings.read import read
from hooks.pod_settings.settings import InvalidSettings, PodSettings
from sources_cli.admission.validate import violations
from sources_cli.schema.pod_settings import settings_schema
from tests.property import pod_settings
from tests.property.restricted import broken
from tests.unit.hooks.hook import URL_SINK, answer

Json = Any


def as_json(found: PodSettings) -> Json:
    """The settings as a value of ``spec.adapter``."""
    names, sides = ("cpu", "memory", "ephemeral-storage"), ("requests", "limits")
    amounts = {side: {name: found.resources.get(side, {}).get(name) for name in names} for side in sides}
    return {
        "resources": amounts,
        **found.pod,
        "labels": found.labels,
        "annotations": found.annotations,
        "env": list(found.env),
        "volumes": list(found.volumes),
        "volumeMounts": list(found.volume_mounts),
        "terminationGracePeriodSeconds": found.grace_period_s,
    }


def problem(value: Json) -> str:
    """Empty if the hook accepts the value."""
    try:
        read(value, "spec.adapter")
    except InvalidSettings as error:
        return str(error)
    return ""


def template(value: Json) -> Json:
    response = answer({"sink": URL_SINK, "adapter": value})
    return response["children"][0]["spec"]["template"]


@given(pair=pod_settings.spellings())
def test_two_spellings_give_the_same_template(pair: pod_settings.Pair) -> None:
    one, other = (read(value, "spec.adapter") for value in pair)
    assert sorted_json(as_json(one)) == sorted_json(as_json(other))
    hashes = [template(value)["metadata"]["annotations"][TEMPLATE_HASH] for value in pair]
    assert hashes[0] == hashes[1]


@given(value=pod_settings.settings)
def test_canonical_settings_stay_the_same(value: Json) -> None:
    found = read(value, "spec.adapter")
    assert read(as_json(found), "spec.adapter") == found


@given(value=pod_settings.settings)
def test_crd_accepts_valid_settings(value: Json) -> None:
    assert [violation.text for violation in violations(settings_schema(), value)] == []


@given(value=pod_settings.settings)
def test_pod_satisfies_restricted(value: Json) -> None:
    assert broken(template(value)) == []


@settings(max_examples=60)
@given(value=pod_settings.mutated())
def test_hook_accepts_exactly_what_the_crd_accepts(value: Json) -> None:
    found = violations(settings_schema(), value)
    text = problem(value)
    assert (text == "") == (found == []), (text, [violation.text for violation in found])
    assert text == "" or (text.startswith("spec.adapter") and "\n" not in text)

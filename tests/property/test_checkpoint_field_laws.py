"""Properties of ``spec.checkpoint``: the CRD and the hook agree, no secret is shown, ``restricted`` holds."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.formats import sorted_json
from hooks.checkpoint import read_checkpoint
from hooks.controller import KindOptions
from hooks.pod_settings.settings import InvalidSettings
from sources_cli.admission.validate import violations
from sources_cli.schema.pod_settings import checkpoint_schema
from tests.property import pod_settings
from tests.property.restricted import broken
from tests.property.specs import checkpoints, documents
from tests.unit.hooks.hook import URL_SINK, answer

SECRET = "postgresql://user:S3CRET@h/d"
valid = st.sampled_from(
    [
        {"none": {}},
        {"pod": {}},
        {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
        {"volume": {"claimName": "positions"}},
    ]
)
of_secrets = st.sampled_from(
    [
        SECRET,
        {"url": SECRET},
        {"url": [SECRET]},
        {"url": {"value": SECRET}},
        {"url": {"secretKeyRef": SECRET}},
        {"url": {"secretKeyRef": {"name": SECRET, "key": SECRET}}},
        {"volume": SECRET},
        {"volume": {"claimName": SECRET}},
        {"none": SECRET},
    ]
)


def problem(value: Any) -> str:
    """Empty if the hook accepts the value."""
    try:
        read_checkpoint(value, "spec.checkpoint")
    except InvalidSettings as error:
        return str(error)
    return ""


@given(value=valid | checkpoints | of_secrets | documents.filter(lambda value: value is not None))
def test_hook_accepts_exactly_what_the_crd_accepts_and_shows_no_secret(value: Any) -> None:
    text, found = problem(value), violations(checkpoint_schema(), value)
    assert bool(text) == bool(found), (text, found)
    assert "S3CRET" not in text
    assert not any("S3CRET" in violation.text for violation in found)


@given(checkpoint=valid, default=st.none() | valid, adapter=st.none() | pod_settings.settings, polls=st.booleans())
def test_pod_with_any_checkpoint_and_settings_satisfies_restricted_and_has_distinct_names(
    checkpoint: Any, default: Any, adapter: Any, polls: bool
) -> None:
    of_cluster = read_checkpoint(default, "checkpoint") if default else None
    options = KindOptions(polls=polls, checkpoint=of_cluster, adapter=adapter)
    [deployment] = answer({"sink": URL_SINK, "checkpoint": checkpoint}, options=options)["children"]
    template = deployment["spec"]["template"]
    assert broken(template) == []
    [container] = template["spec"]["containers"]
    for listed, name in (
        (template["spec"].get("volumes", ()), "name"),
        (container.get("volumeMounts", ()), "mountPath"),
        (container["env"], "name"),
    ):
        names = [sorted_json(each[name]) for each in listed]
        assert len(set(names)) == len(names)

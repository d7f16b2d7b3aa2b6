"""The default of a cluster for spec.checkpoint: the option --checkpoint, the query, the CRD, and the checks of lint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapter.contract.timeouts import TIMEOUTS
from adapter.sdk import Listener, Poller
from hooks.app import options_from
from hooks.checkpoint import Checkpoint
from sources_cli.admission.adapter_defaults import read_checkpoint_default
from sources_cli.admission.pod_checks import pod_violations
from sources_cli.admission.validate import violations
from sources_cli.kind import QUERY_SAFE, ClusterOptions, kind_named
from sources_cli.manifests import urlencode
from sources_cli.problem import Problem
from sources_cli.schema.crd import spec_schema
from tests.unit.sources_cli.kinds import kind_with

SECRET = {"secretKeyRef": {"name": "db", "key": "url"}}
FORMS: dict[str, Any] = {
    "none": {"none": {}},
    "pod": {"pod": {}},
    "url": {"url": SECRET},
    "volume": {"volume": {"claimName": "positions"}},
}
SINK = {"uri": "http://h"}


def default(form: str) -> Checkpoint | None:
    return Checkpoint.model_validate(FORMS[form]) if form else None


@pytest.mark.parametrize("form", FORMS)
def test_option_takes_a_file_or_the_map_itself_and_the_hook_reads_it_from_the_query(tmp_path: Path, form: str) -> None:
    file = tmp_path / "default.json"
    file.write_text(json.dumps(FORMS[form]))
    read = [read_checkpoint_default(text) for text in (str(file), json.dumps(FORMS[form]))]
    assert read[0] == read[1] == default(form)
    query = kind_with({}).query(ClusterOptions(checkpoint=read[0]))
    assert options_from(urlencode(query, safe=QUERY_SAFE).encode()).checkpoint == read[0]


def test_without_option_and_with_an_empty_file_there_is_no_default(tmp_path: Path) -> None:
    file = tmp_path / "default.yaml"
    file.write_text("# nothing yet\n")
    assert read_checkpoint_default(None) is read_checkpoint_default(str(file)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("pod", "pod: No such file or directory", id="no-file"),
        pytest.param("{}", "--checkpoint:1: Invalid value: set exactly one of none, pod, url and volume", id="empty"),
        pytest.param(
            '{"pod":{},"none":{}}',
            "--checkpoint:1: Invalid value: set exactly one of none, pod, url and volume",
            id="two",
        ),
        pytest.param("{pod: {}", "--checkpoint:1: broken YAML: ", id="broken"),
        pytest.param('{"redis":{}}', "--checkpoint:1: redis: unknown field; known fields: none, pod, ", id="unknown"),
        pytest.param(
            '{"url":"redis://:S3CRET@h"}',
            "--checkpoint:1: url: Invalid value: must be of type object, not string; write secretKeyRef with name and "
            "key, because a text in this field would show the secret",
            id="text",
        ),
        pytest.param(
            '{"volume":{"claimName":"A"}}',
            '--checkpoint:1: volume.claimName: Invalid value: "A": write the name of an object',
            id="name",
        ),
    ],
)
def test_invalid_option_names_the_field_and_a_remedy_and_shows_no_secret(text: str, message: str) -> None:
    with pytest.raises(Problem) as raised:
        read_checkpoint_default(text)
    assert str(raised.value).startswith(message)
    assert "S3CRET" not in str(raised.value)


@pytest.mark.parametrize("text", ["- pod\n", "pod\n"])
def test_file_without_a_map_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "default.yaml"
    file.write_text(text)
    with pytest.raises(
        Problem, match=r"default\.yaml:1: the document is .*: write a map with one field of spec\.check"
    ):
        read_checkpoint_default(str(file))


@pytest.mark.parametrize(
    ("base", "form", "shown"),
    [(Listener, "", "none"), (Poller, "", "pod"), (Poller, "none", "none"), (Listener, "url", "url")],
)
def test_description_in_the_crd_ends_with_the_default(base: type, form: str, shown: str) -> None:
    schema = spec_schema(kind_with({}, (base,)).in_cluster(default(form)))
    assert schema["properties"]["checkpoint"]["description"].endswith(f" Default: {shown}.")
    assert "default" not in schema["properties"]["checkpoint"]  # a stored default would not change with the cluster


@pytest.mark.parametrize(
    ("form", "own", "is_valid"),
    [
        ("", None, True),
        ("", "volume", False),
        ("volume", None, False),
        ("volume", "url", True),
        ("volume", "volume", False),
    ],
)
def test_replicas_and_a_volume_are_refused_together(form: str, own: str | None, is_valid: bool) -> None:
    schema = spec_schema(kind_named("WebhookSource", "adapter.sources").in_cluster(default(form)))
    spec = {"sink": SINK, "replicas": 2, **({"checkpoint": FORMS[own]} if own else {})}
    found = [violation.text for violation in violations(schema, spec, ("spec",))]
    text = "with a checkpoint on a volume, only one pod can run; set replicas to 1, or use checkpoint.url"
    assert found == ([] if is_valid else [f"spec.replicas: Invalid value: {text}"])
    assert violations(schema, {**spec, "replicas": 1}) == []


@pytest.mark.parametrize("form", ["", *FORMS])
def test_lint_counts_the_last_save_in_the_least_grace_period(form: str) -> None:
    kind = kind_named("PollSource", "adapter.sources").in_cluster(default(form))
    saves = form != "none"
    least = TIMEOUTS.grace_period_s(10, dead_letter=False, listens=False, polls=True, saves=saves)
    for seconds, count in ((least - 1, 1), (least, 0)):
        spec = {"sink": SINK, "url": "http://h", "adapter": {"terminationGracePeriodSeconds": seconds}}
        assert len(pod_violations(kind, {"spec": spec})) == count

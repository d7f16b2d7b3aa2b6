"""Names that follow from a kind, at and beyond the limits of Kubernetes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.kind_names import (
    api_version_problem,
    controller_label,
    kebab,
    kind_problem,
    plural,
    short_name_problem,
)
from adapter.sdk import Timer
from sources_cli.kind import Kind
from sources_cli.schema.crd import crd

LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
DNS_1035_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
LONGEST = "A" * 45 + "Source"  # 52 characters in kebab-case
WORDS = "Abc" + "Ab" * 14 + "Source"  # 52 characters, with 16 words


def test_plural_and_kebab_case_of_kinds() -> None:
    assert [plural(kind) for kind in ("SampleSource", "Policy", "Bus", "Endpoints")] == [
        "samplesources",
        "policies",
        "buses",
        "endpoints",
    ]
    assert kebab("QueueDepthSource") == "queue-depth-source"


@pytest.mark.parametrize("kind", [LONGEST, WORDS])
def test_kind_at_the_limit_has_a_label_of_63_characters(kind: str) -> None:
    assert kind_problem(kind) is None
    assert len(controller_label(kind)) == 63
    longer = kebab(f"A{kind}")
    assert kind_problem(f"A{kind}") == (
        f'the kind "A{kind}" has {len(longer)} characters as "{longer}"; write at most 52'
    )


@given(
    st.integers(0, 46)
    .flatmap(lambda length: st.text("ABa1", min_size=length, max_size=length))
    .map("K{}Source".format),
    st.from_regex(r"\A[a-z0-9]{1,63}(\.[a-z0-9]{1,63}){1,4}/v[0-9]{1,70}\Z", fullmatch=True),
)
def test_every_name_of_a_kind_without_problem_is_valid_in_kubernetes(kind: str, api_version: str) -> None:
    version = api_version.partition("/")[2]
    if kind_problem(kind) or api_version_problem(api_version, kind):
        return
    source_class = type(kind, (Timer,), {"__doc__": "A.", "api_version": api_version, "__module__": __name__})
    made = crd(Kind(source_class, "kinds"))
    names = made["spec"]["names"]
    labels = [names["plural"], names["singular"], names["kind"].lower(), names["listKind"].lower(), version]
    assert [name for name in [*labels, *names["shortNames"]] if not DNS_1035_LABEL.fullmatch(name)] == []
    assert LABEL_VALUE.fullmatch(controller_label(kind))
    assert len(made["metadata"]["name"]) <= 253


@pytest.mark.parametrize(
    ("api_version", "problem"),
    [
        ("v1", 'is "v1": write group/version like example.com/v1'),
        (5, "is 5: write group/version like example.com/v1"),
        ("example.com/v1\n", 'is "example.com/v1\\n": write group/version like example.com/v1'),
        (f"{'a' * 236}.com/v1", None),
        (f"{'a' * 237}.com/v1", "has a group of 241 characters; write at most 240"),
        (f"a.com/v{'1' * 62}", None),
        (f"a.com/v{'1' * 63}", "has a version of 64 characters; write at most 63"),
    ],
)
def test_api_version_has_the_limits_of_a_crd(api_version: str, problem: str | None) -> None:
    assert api_version_problem(api_version, "DoorsSource") == problem


@pytest.mark.parametrize(
    ("short_name", "problem"),
    [
        ("", None), ("a" * 63, None), ("a" * 64, "has 64 characters; write at most 63"),
        ("Qds", "is \"Qds\": write lower-case letters, digits and '-', like qds"),
        ("1a", "is \"1a\": write lower-case letters, digits and '-', like qds"),
        (None, "is null: write lower-case letters, digits and '-', like qds"),
    ],
)  # fmt: skip
def test_short_name_has_the_limits_of_a_crd(short_name: str, problem: str | None) -> None:
    assert short_name_problem(short_name) == problem


@pytest.mark.parametrize(
    ("name", "members", "message"),
    [
        (f"A{LONGEST}", {}, "has 53 characters as"),
        ("TinySource", {"api_version": "x"}, 'TinySource.api_version is "x": write group/version'),
        ("TinySource", {"short_name": "X"}, 'TinySource.short_name is "X": write lower-case letters'),
    ],
)
def test_class_with_a_name_beyond_the_limits_is_a_type_error(name: str, members: dict[str, str], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        type(name, (Timer,), {**members, "__module__": __name__})

"""Names of children as Knative computes them, names of kinds, and the patterns of Kubernetes names."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.names import child_name, get_in, is_api_version, is_dns_label, is_dns_subdomain, is_kind
from tests.unit.hooks.hook import UID


@pytest.mark.parametrize(
    ("name", "child"),
    [
        ("hb", "samplesource-hb-11111111-2222-3333-4444-555555555555"),
        ("sample-source", "samplesource-sample-source-11111111-2222-3333-4444-555555555555"),
        ("a" * 14, "samplesource-aaaaaaaaaaaaaa-1e44bc9c696f06ca609911bd7937488c111"),
        ("b" * 40, "samplesource-bbbbbbbbbbbbbbbbbbebae277666598aff45af7a5c2a8065d2"),
        ("c" * 63, "samplesource-cccccccccccccccccc882a78be20eb0035459111c2701a1c1c"),
        ("my.dotted.name", "samplesource-my.dotted.name-4bac58509e8960fc6cae969514c0c9ac111"),
    ],
)
def test_deployment_name_equals_that_of_knative(name: str, child: str) -> None:
    assert child_name(f"samplesource-{name}-", UID) == child


@pytest.mark.parametrize(
    ("prefix", "suffix", "child"),
    [
        ("p" * 63, "s", "p" * 30 + "d589298c9732d002373545aecabd1105" + "s"),
        ("p", "s" * 63, "pc8427f8f1756a42a7ceb88671970a7a8" + "s" * 30),
        ("p" * 40, "s" * 30, "p92d2a910411dfdc344478c1a890a7a4f" + "s" * 30),
        ("ab", "-" * 63, "ab4c01ad4d076fc7c22bd861b7c3f0b907"),
    ],
    ids=["long-parent", "long-suffix", "both-long", "trailing-dashes"],
)
def test_child_name_equals_that_of_kmeta(prefix: str, suffix: str, child: str) -> None:
    assert child_name(prefix, suffix) == child


@pytest.mark.parametrize(
    ("text", "label", "subdomain"),
    [
        ("a", True, True),
        ("a-1", True, True),
        ("a" * 63, True, True),
        ("a" * 64, False, True),
        ("a.b", False, True),
        ("a" * 253, False, True),
        ("a" * 254, False, False),
        ("a..b", False, False),
        ("a.-b", False, False),
        ("A", False, False),
        ("-a", False, False),
        ("a\n", False, False),
        ("", False, False),
    ],
)
def test_dns_names_follow_rfc_1123(text: str, label: bool, subdomain: bool) -> None:
    assert (is_dns_label(text), is_dns_subdomain(text)) == (label, subdomain)


def test_api_versions_and_kinds() -> None:
    assert [is_api_version(text) for text in ("v1", "eventing.knative.dev/v1", "1", "a/b/v1", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert [is_kind(text) for text in ("Service", "A1", "1A", "A-b", "")] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("value", "found"), [({"a": {"b": 1}}, 1), ({"a": {}}, None), ({"a": [1]}, None), ({"a": "b"}, None), (None, None)]
)
def test_get_in_returns_none_where_a_part_is_missing_or_not_an_object(value: Any, found: Any) -> None:
    assert get_in(value, "a", "b") == found


def test_names_in_a_reference_have_a_limit() -> None:
    assert [is_kind("K" * length) for length in (63, 64)] == [True, False]
    assert [is_api_version(f"{'a' * group}/v{'1' * 62}") for group in (253, 254)] == [True, False]

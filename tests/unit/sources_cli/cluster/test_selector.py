"""Label selectors, as Kubernetes defines them."""

from __future__ import annotations

from typing import Any

import pytest

from sources_cli.cluster.selector import selects

LABELS = {"shard": "a", "team": "x"}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": [*values]} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, True),
        ({}, True),
        ({"matchLabels": {"shard": "a"}}, True),
        ({"matchLabels": {"shard": "b"}}, False),
        ({"matchLabels": {"zone": "a"}}, False),
        (expression("shard", "In", "a", "b"), True),
        (expression("shard", "In", "b"), False),
        (expression("zone", "In", "a"), False),
        (expression("shard", "NotIn", "a"), False),
        (expression("zone", "NotIn", "a"), True),
        (expression("shard", "Exists"), True),
        (expression("zone", "Exists"), False),
        (expression("shard", "DoesNotExist"), False),
        (expression("zone", "DoesNotExist"), True),
        (expression("shard", "Like", "a"), False),
        ({"matchLabels": {"team": "x"}, **expression("shard", "In", "b")}, False),
    ],
)
def test_selector_matches_as_in_kubernetes(selector: Any, expected: bool) -> None:
    assert selects(selector, LABELS) is expected

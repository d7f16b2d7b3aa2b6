"""Ready and transition times."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from hooks.conditions import ConditionState, ConditionType, ready, update
from hooks.diagnosis.observed import find, transition_time
from hooks.diagnosis.reasons import Reason
from tests.unit.hooks.hook import NOW

TRUE = ConditionState(ConditionType.SINK_PROVIDED, "True")
UNKNOWN = ConditionState(ConditionType.DEPLOYED, "Unknown", Reason.ADAPTER_STARTING, "starting")
FALSE = ConditionState(ConditionType.DEPLOYED, "False", Reason.DEPLOYMENT_UNAVAILABLE, "unavailable")


@pytest.mark.parametrize(
    ("states", "copied"),
    [
        pytest.param([TRUE], TRUE, id="true"),
        pytest.param([TRUE, UNKNOWN], UNKNOWN, id="unknown"),
        pytest.param([UNKNOWN, FALSE], FALSE, id="false-before-unknown"),
    ],
)
def test_ready_copies_the_first_false_then_the_first_unknown_condition(
    states: list[ConditionState], copied: ConditionState
) -> None:
    assert ready(*states) == ConditionState(ConditionType.READY, copied.status, copied.reason, copied.message)


def test_conditions_are_sorted_and_a_true_condition_has_no_reason() -> None:
    assert update(None, [TRUE, FALSE], now=NOW) == [
        {
            "type": "Deployed",
            "status": "False",
            "lastTransitionTime": "2026-01-01T12:00:00Z",
            "reason": "DeploymentUnavailable",
            "message": "unavailable",
        },
        {"type": "SinkProvided", "status": "True", "lastTransitionTime": "2026-01-01T12:00:00Z"},
    ]


def test_transition_time_changes_only_with_the_status() -> None:
    first: Any = {"conditions": update(None, [UNKNOWN], now=NOW)}
    later = NOW + timedelta(minutes=1)
    other = ConditionState(ConditionType.DEPLOYED, "Unknown", Reason.ADAPTER_UPDATING, "updating")
    assert update(first, [other], now=later)[0]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert update(first, [FALSE], now=later)[0]["lastTransitionTime"] == "2026-01-01T12:01:00Z"


def test_transition_time_that_others_wrote_is_shown_in_utc_and_whole_seconds() -> None:
    old: Any = {
        "conditions": [{"type": "Deployed", "status": "False", "lastTransitionTime": "2026-01-01T14:00:00.5+02:00"}]
    }
    assert update(old, [FALSE], now=NOW + timedelta(minutes=1))[0]["lastTransitionTime"] == "2026-01-01T12:00:00Z"


@pytest.mark.parametrize(
    "status",
    [None, {}, {"conditions": {}}, {"conditions": ["x", {"type": "Ready", "status": "True"}]}],
    ids=["none", "empty", "not-a-list", "no-time"],
)
def test_malformed_status_has_no_condition_and_no_transition_time(status: Any) -> None:
    assert transition_time(status, "Ready", "True") is None
    assert find(status, "Deployed") is None

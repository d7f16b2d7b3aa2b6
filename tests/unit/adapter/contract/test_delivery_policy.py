"""spec.delivery: its fields, their limits, and the waits between attempts."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.durations import parse_iso_duration

policies = st.builds(
    Policy,
    retry=st.integers(0, 1000),
    backoff_policy=st.sampled_from(["exponential", "linear"]),
    backoff_delay_s=st.floats(0, 3600),
    timeout_s=st.floats(0.001, 600),
    connect_timeout_s=st.floats(0.001, 600),
    retry_after_max_s=st.floats(0, 3600),
)


def test_default_retries_outlast_a_sink_restart_of_two_minutes() -> None:
    policy = read_policy({})
    assert policy == Policy()
    assert (policy.retry, policy.backoff_policy, policy.timeout_s) == (30, "exponential", 10)
    mean_s = sum(policy.waits()) / 2
    deviation_s = (sum(wait**2 for wait in policy.waits()) / 12) ** 0.5
    assert mean_s - 5 * deviation_s > 120  # the total of full jitter exceeds this except once in millions


@pytest.mark.parametrize(
    ("delivery", "waits"),
    [
        pytest.param({"backoffPolicy": "exponential", "backoffDelay": "PT1S"}, [2, 4, 8, 16, 30, 30], id="exponential"),
        pytest.param({"backoffPolicy": "linear", "backoffDelay": "PT1S"}, [1, 2, 3, 4, 5, 6], id="linear"),
        pytest.param({"backoffDelay": "PT2M"}, [120, 120, 120, 120, 120, 120], id="longer than the longest"),
        pytest.param({"retry": 2, "backoffDelay": "PT1S"}, [2, 4], id="few"),
        pytest.param({"retry": 0}, [], id="none"),
        pytest.param({"backoffDelay": "PT0S"}, [0, 0, 0, 0, 0, 0], id="at once"),
    ],
)
def test_backoff_waits_equal_those_of_knative(delivery: dict[str, Any], waits: list[float]) -> None:
    assert list(islice(read_policy(delivery).waits(), 6)) == waits


def test_connect_timeout_is_shorter_than_two_ticks_of_one_second() -> None:
    """A timer skips ticks that are more than one second late, and one connection to a pod that is gone must not."""
    assert read_policy({}).connect_timeout_s == 1.5
    assert read_policy({"connectTimeout": "PT0.25S"}).connect_timeout_s == 0.25


def test_k_sink_timeout_applies_without_timeout_in_spec_delivery() -> None:
    assert read_policy({}, timeout_s=3).timeout_s == 3
    assert read_policy({"timeout": "PT5S"}, timeout_s=3).timeout_s == 5


@pytest.mark.parametrize(
    ("delivery", "message"),
    [
        pytest.param({"retries": 3}, "retries is not a field; the fields are backoffDelay, ", id="unknown"),
        pytest.param({"retry": "3"}, 'retry is "3": write a whole number from 0 to 1000', id="text"),
        pytest.param({"retry": True}, "retry is true: write a whole number", id="bool"),
        pytest.param({"retry": -1}, "retry is -1: ", id="negative"),
        pytest.param({"retry": 1001}, "retry is 1001: ", id="many"),
        pytest.param({"backoffPolicy": "fast"}, 'backoffPolicy is "fast": write exponential or linear', id="policy"),
        pytest.param({"backoffDelay": "1s"}, 'backoffDelay is "1s": write an ISO 8601 duration', id="go"),
        pytest.param({"backoffDelay": 1}, "backoffDelay is 1: write an ISO 8601 duration in quotes", id="number"),
        pytest.param({"backoffDelay": "PT2H"}, 'backoffDelay is "PT2H": ', id="long"),
        pytest.param({"timeout": "PT0S"}, 'timeout is "PT0S": write an ISO 8601 duration from 1 ms to 600', id="zero"),
        pytest.param({"timeout": "PT11M"}, 'timeout is "PT11M": ', id="long timeout"),
        pytest.param(
            {"connectTimeout": "PT0S"},
            'connectTimeout is "PT0S": write an ISO 8601 duration from 1 ms to 600',
            id="zero connect timeout",
        ),
        pytest.param({"connectTimeout": "PT11M"}, 'connectTimeout is "PT11M": ', id="long connect timeout"),
        pytest.param({"retryAfterMax": "P1D"}, 'retryAfterMax is "P1D": ', id="retry-after"),
    ],
)
def test_invalid_field_is_named_with_its_value(delivery: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- its text is compared
        read_policy(delivery)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("PT10S", 10**10), ("PT0.1S", 10**8), ("P1DT1H1M1S", 90_061 * 10**9), ("PT1M", 6 * 10**10), ("PT0S", 0)],
)
def test_iso_duration_is_read_in_nanoseconds(text: str, ns: int) -> None:
    assert parse_iso_duration(text) == ns


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "P1DT", "PT1", "10s", "PT.5S", "P1Y", "P1M", "PT1S1M", "-PT1S", "pt1s"]
)
def test_other_text_is_not_an_iso_duration(text: str) -> None:
    with pytest.raises(ValueError, match="write an ISO 8601 duration"):
        parse_iso_duration(text)


@given(policies)
def test_number_of_waits_is_retry_and_each_is_limited(policy: Policy) -> None:
    waits = list(policy.waits())
    assert len(waits) == policy.retry
    assert all(0 <= wait <= max(30, policy.backoff_delay_s) for wait in waits)

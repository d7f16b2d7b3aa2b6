"""The steps of a shutdown fit into the grace period of the pod."""

from __future__ import annotations

import dataclasses

import pytest

from adapter.contract.timeouts import TIMEOUTS

STEPS = {
    "always": ("drain_margin_s", "outcome_s", "outcome_s", "source_close_s"),
    "polls": ("last_poll_s",),
    "listens": ("pre_stop_s", "listener_drain_s", "responses_s"),
}


@pytest.mark.parametrize("attempt_s", [1.0, 10.0, 600.0])
@pytest.mark.parametrize("dead_letter", [False, True], ids=["", "dead_letter"])
@pytest.mark.parametrize("does", ["nothing", "listens", "polls"])
def test_shutdown_steps_fit_into_the_grace_period(attempt_s: float, dead_letter: bool, does: str) -> None:
    values = dataclasses.asdict(TIMEOUTS)
    steps = STEPS["always"] + STEPS.get(does, ())
    needed_s = sum(values[step] for step in steps) + attempt_s * (2 if dead_letter else 1)
    given_s = TIMEOUTS.grace_period_s(
        attempt_s, dead_letter=dead_letter, listens=does == "listens", polls=does == "polls"
    )
    assert needed_s < given_s


@pytest.mark.parametrize(("share", "limit_s"), [(0, 240), (0.5, 300), (1, 360)])
def test_age_of_connections_differs_by_20_percent(share: float, limit_s: float) -> None:
    assert TIMEOUTS.age_limit_s(share) == pytest.approx(limit_s)


def test_default_grace_period_is_30_seconds() -> None:
    """A source without ``spec.delivery`` keeps the default of Kubernetes."""
    assert TIMEOUTS.grace_period_s(10.0, dead_letter=False, listens=False) == 30


def test_grace_period_includes_one_attempt_at_the_dead_letter_sink() -> None:
    assert TIMEOUTS.grace_period_s(10.0, dead_letter=True, listens=False) == 40
    assert TIMEOUTS.grace_period_s(60.0, dead_letter=True, listens=False) == 140

"""The table of reasons has every reason that the hook can give, and nothing else."""

from __future__ import annotations

import pytest

from hooks.diagnosis.pods import CREATE, PULL
from hooks.diagnosis.reasons import Reason
from sources_cli.cluster.reasons.entry import Fault
from sources_cli.cluster.reasons.table import FROM_KUBERNETES, TABLE
from tests.pages import anchors


def test_reasons_of_conditions_are_those_of_the_hook_and_of_kubernetes() -> None:
    """The hook shows ErrImagePull as ImagePullBackOff."""
    of_pods = {*PULL, *CREATE} - {"ErrImagePull"}
    of_conditions = {reason for reason, entry in TABLE.items() if entry.condition}
    assert of_conditions == {*Reason, *of_pods, *FROM_KUBERNETES}


def test_other_reasons_are_faults_that_no_condition_names() -> None:
    assert {reason for reason, entry in TABLE.items() if not entry.condition} == set(Fault)
    assert {reason for reason, entry in TABLE.items() if entry.seen} == set(Fault)


@pytest.mark.parametrize("reason", list(TABLE))
def test_page_of_the_reason_exists(reason: str) -> None:
    page, _, anchor = TABLE[reason].docs.partition("#")
    assert not anchor or anchor in anchors(page)

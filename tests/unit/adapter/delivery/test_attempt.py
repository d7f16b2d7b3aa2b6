"""What a status code means for an event."""

from __future__ import annotations

import pytest

from adapter.delivery.attempt import Disposition, disposition

RETRIED = {404, 408, 409, 429, *range(500, 600)}


@pytest.mark.parametrize("code", range(100, 600))
def test_disposition_of_a_status_follows_the_data_plane_specification(code: int) -> None:
    expected = Disposition.ACCEPT if code // 100 == 2 else Disposition.RETRY if code in RETRIED else Disposition.REJECT
    assert disposition(code) is expected


def test_status_that_the_specification_does_not_list_is_retried() -> None:
    assert {disposition(code) for code in range(600, 1000)} == {Disposition.RETRY}

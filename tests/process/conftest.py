"""What process tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process.harness import Start, processes


@pytest.fixture
def start() -> Iterator[Start]:
    with processes() as start:
        yield start

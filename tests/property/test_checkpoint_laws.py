"""The laws of a stored position, for overlapping processes whose calls are late, reordered, or fail."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from adapter.checkpoints.file import FileStore
from tests.property.checkpoint_machine import CheckpointMachine, UncheckedStore

SETTINGS = settings(deadline=None, stateful_step_count=40, suppress_health_check=list(HealthCheck))


class OnFile(CheckpointMachine):
    def __init__(self) -> None:
        self._directory = TemporaryDirectory()
        super().__init__()

    def make_store(self) -> FileStore:
        return FileStore(Path(self._directory.name) / "key.json")

    def teardown(self) -> None:
        super().teardown()
        self._directory.cleanup()


class Unchecked(CheckpointMachine):
    make_store = UncheckedStore


class SavesFirst(CheckpointMachine):
    saves_first = True


def test_position_never_moves_back_and_covers_only_what_was_acknowledged() -> None:
    run_state_machine_as_test(CheckpointMachine, settings=settings(SETTINGS, max_examples=100))


def test_position_in_a_file_obeys_the_same_laws() -> None:
    run_state_machine_as_test(OnFile, settings=settings(SETTINGS, max_examples=30))


@pytest.mark.parametrize("mistake", [Unchecked, SavesFirst])
def test_laws_fail_without_the_check_of_versions_or_if_a_source_saves_too_early(
    mistake: type[CheckpointMachine],
) -> None:
    """Without the check of versions, or if a source saves before the acknowledgement, the laws above fail."""
    found = settings(SETTINGS, max_examples=500, phases=[Phase.generate], database=None, report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(mistake, settings=found)

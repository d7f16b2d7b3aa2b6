"""Which files the directory sample sends, in which order, and as what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapter.sdk import Outcome
from adapter.testing import Run
from metacontroller.samples.kinds.directory_source import DirectorySource


def source(directory: Path) -> DirectorySource:
    return DirectorySource(directory=str(directory))


def test_file_becomes_an_event_with_its_name_content_and_media_type(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"n": 1}')
    (tmp_path / "b").write_bytes(b"\xff")
    first, second = run(source(tmp_path), 2)
    assert (first.subject, first.data, first.content_type) == ("a.json", b'{"n": 1}', "application/json")
    assert (second.subject, second.data, second.content_type) == ("b", b"\xff", None)


def test_files_are_sent_in_the_order_of_their_names(run: Run, tmp_path: Path) -> None:
    for name in ("10", "2", "01"):
        (tmp_path / name).touch()
    assert [event.subject for event in run(source(tmp_path), 3)] == ["01", "10", "2"]


def test_incomplete_files_and_directories_are_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".a").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").touch()
    events = run(source(tmp_path), 2, outcomes=[Outcome.REJECTED, Outcome.REJECTED])
    assert [event.subject for event in events] == ["c", "c"]
    (tmp_path / ".a").rename(tmp_path / "a")
    assert [event.subject for event in run(source(tmp_path), 2)] == ["a", "c"]


@pytest.mark.parametrize(
    ("outcome", "stays"),
    [
        (Outcome.DELIVERED, False),
        (Outcome.DEAD_LETTERED, False),
        (Outcome.REJECTED, True),
        (Outcome.GAVE_UP, True),
    ],
)
def test_only_an_accepted_file_is_deleted(run: Run, tmp_path: Path, outcome: Outcome, stays: bool) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    run(source(tmp_path), 2, outcomes=[outcome])
    assert (tmp_path / "a").exists() == stays


def test_rewritten_file_has_another_id(run: Run, tmp_path: Path) -> None:
    ids = []
    for written_s in (1, 1, 2):
        (tmp_path / "a").touch()
        os.utime(tmp_path / "a", (written_s, written_s))
        [event] = run(source(tmp_path), 1)
        ids.append(event.id)
    assert ids[0] == ids[1] != ids[2]


def test_missing_directory_is_an_error_that_names_it(run: Run, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "none")):
        run(source(tmp_path / "none"), 1)

"""``sources run`` detects every way to edit a file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sources_cli.local.watch import contents_of, edits
from tests.deadline import DEADLINE_S

NEVER_S = 10.0 * DEADLINE_S


def rewrite(file: Path) -> None:
    file.write_text("new")


def replace(file: Path) -> None:
    """As many editors save: a new file replaces the old one."""
    other = file.with_name(".file.swp")
    other.write_text("new")
    other.replace(file)


def delete_and_create(file: Path) -> None:
    file.unlink()
    file.write_text("new")


@pytest.mark.parametrize("edit", [rewrite, replace, delete_and_create])
def test_edit_is_detected(tmp_path: Path, edit: Callable[[Path], None]) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("old")
    assert_detected(file, lambda: edit(file))


def test_new_file_in_a_directory_is_detected(tmp_path: Path) -> None:
    assert_detected(tmp_path, lambda: rewrite(tmp_path / "new.yaml"))


def test_update_of_a_mounted_configmap_is_detected(tmp_path: Path) -> None:
    """The kubelet links file -> ..data/file and ..data -> a directory. An update replaces only the link ..data."""
    for name, text in (("..1", "old"), ("..2", "new")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "file.yaml").symlink_to("..data/file.yaml")

    def update() -> None:
        (tmp_path / "..data_tmp").symlink_to("..2")
        os.replace(tmp_path / "..data_tmp", tmp_path / "..data")

    assert_detected(tmp_path / "file.yaml", update)


def test_edit_of_the_target_of_a_link_is_detected(tmp_path: Path) -> None:
    target, link = two_paths(tmp_path)
    link.symlink_to(target)
    assert_detected(link, lambda: rewrite(target))


def test_edit_without_notification_is_detected(tmp_path: Path) -> None:
    """The kernel does not report a change through a hard link in another directory."""
    target, link = two_paths(tmp_path)
    link.hardlink_to(target)
    assert_detected(link, lambda: rewrite(target), compare_every_s=0.1)


def test_edit_before_the_watch_is_detected(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("old")

    async def check() -> None:
        watch = edits([file], contents_of([file]), compare_every_s=NEVER_S)
        rewrite(file)
        await asyncio.wait_for(anext(watch), DEADLINE_S)

    asyncio.run(check())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such name")
def test_edit_beside_a_file_whose_name_is_not_utf_8_is_detected(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("old")

    def edit() -> None:
        (tmp_path / os.fsdecode(b"\xff")).touch()
        rewrite(file)

    assert_detected(file, edit, compare_every_s=0.1)


def test_file_that_is_written_again_with_the_same_text_is_no_edit(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("old")

    async def watch() -> None:
        changes = edits([file], contents_of([file]), compare_every_s=0.05)
        edit = asyncio.ensure_future(anext(aiter(changes)))
        file.write_text("old")
        assert not (await asyncio.wait([edit], timeout=0.5))[0]
        file.write_text("new")
        await asyncio.wait_for(edit, DEADLINE_S)

    asyncio.run(watch())


def test_file_that_becomes_too_large_is_an_edit(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text("")
    before = contents_of([file])
    os.truncate(file, 11 * 1024 * 1024)
    assert contents_of([file], before) != before


def test_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert contents_of([tmp_path / "pipe"]) == {}


def test_missing_file_keeps_its_contents(tmp_path: Path) -> None:
    gone = tmp_path / "gone.yaml"
    assert contents_of([gone], {gone: b"old"}) == {gone: b"old"}


def test_file_that_is_deleted_from_a_directory_has_no_contents(tmp_path: Path) -> None:
    assert contents_of([tmp_path], {tmp_path / "gone.yaml": b"old"}) == {}


def test_emptied_file_has_no_contents(tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.touch()
    assert contents_of([file], {file: b"old"}) == {file: b""}


def two_paths(directory: Path) -> tuple[Path, Path]:
    (directory / "elsewhere").mkdir()
    (directory / "elsewhere/file.yaml").write_text("old")
    return directory / "elsewhere/file.yaml", directory / "file.yaml"


def assert_detected(path: Path, edit: Callable[[], None], *, compare_every_s: float = NEVER_S) -> None:
    """The default of ``compare_every_s`` is much longer than the wait, so only a notification can report the edit."""

    async def check() -> None:
        watch = edits([path], contents_of([path]), compare_every_s=compare_every_s)
        first = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)  # until it watches
        edit()
        await asyncio.wait_for(first, DEADLINE_S)

    asyncio.run(check())

"""A checkpoint in a file."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapter.checkpoints.file import FileStore
from adapter.checkpoints.store import Record, StoreError
from tests.unit.adapter.fake_adapter import within_deadline

LARGE = {"seen": ["f" * 16] * 6000}  # 120 KB


@pytest.mark.parametrize("is_shared", [False, True])
def test_saved_record_is_loaded_by_another_process(tmp_path: Path, is_shared: bool) -> None:
    async def test() -> None:
        path = tmp_path / "not/made/yet" / "key.json"
        store = FileStore(path, is_shared=is_shared)
        assert await store.load() is None
        assert await store.save(Record(1, {"cursor": "\ud800\u0000é"})) == 1
        assert await store.save(Record(3, LARGE)) == 3
        await store.aclose()
        assert await FileStore(path).load() == Record(3, LARGE)

    within_deadline(test())


@pytest.mark.parametrize("version", [1, 2])
def test_record_without_a_higher_version_is_not_written(tmp_path: Path, version: int) -> None:
    async def test() -> None:
        store = FileStore(tmp_path / "key.json")
        await store.save(Record(2, "stored"))
        assert await store.save(Record(version, "late")) == 2
        assert await store.load() == Record(2, "stored")

    within_deadline(test())


def test_concurrent_writers_leave_the_highest_version(tmp_path: Path) -> None:
    async def test() -> None:
        stores = [FileStore(tmp_path / "key.json") for _ in range(4)]
        versions = await asyncio.gather(*(stores[n % 4].save(Record(n * 7 % 41, n)) for n in range(1, 41)))
        assert max(versions) == 40
        assert (await stores[0].load() or Record(0, 0)).version == 40
        for store in stores:
            await store.aclose()

    within_deadline(test())


def test_reader_never_sees_a_part_of_a_record(tmp_path: Path) -> None:
    async def test() -> None:
        writer, reader = FileStore(tmp_path / "key.json"), FileStore(tmp_path / "key.json")

        async def write() -> None:
            for version in range(1, 101):
                await writer.save(Record(version, LARGE))

        writing = asyncio.create_task(write())
        while not writing.done():
            assert (await reader.load() or Record(0, LARGE)).value == LARGE
        await writing

    within_deadline(test())


def test_save_that_was_cancelled_does_not_replace_a_newer_record(tmp_path: Path) -> None:
    """The thread of the first save waits for the lock, and goes on when its caller is gone."""

    async def test() -> None:
        path = tmp_path / "key.json"
        store, other = FileStore(path), FileStore(path)
        with _locked(path):
            first = asyncio.create_task(store.save(Record(1, "old")))
            await asyncio.sleep(0.01)
            first.cancel()
            second = asyncio.create_task(store.save(Record(2, "new")))
            third = asyncio.create_task(other.save(Record(3, "newest")))
            await asyncio.sleep(0)
        assert [await second, await third] in ([2, 3], [3, 3])
        assert await store.load() == Record(3, "newest")

    within_deadline(test())


def test_volume_that_does_not_answer_is_a_store_error(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "key.json"
        store = FileStore(path, limit_s=0.05)
        with _locked(path):
            with pytest.raises(StoreError, match=r"key\.json: the volume did not answer within 0\.05 s"):
                await store.save(Record(1, 1))
            await store.aclose()

    within_deadline(test())


def test_volume_that_does_not_answer_keeps_one_record_in_memory_not_one_for_each_attempt(tmp_path: Path) -> None:
    async def test() -> None:
        path = tmp_path / "key.json"
        store = FileStore(path, limit_s=0.01)
        records = []
        with _locked(path):
            for version in range(1, 6):
                record = Record(version, version)
                records.append(weakref.ref(record))
                with pytest.raises(StoreError):
                    await store.save(record)
                del record
            gc.collect()
            assert sum(record() is not None for record in records) <= 2  # that of the thread, and the last one
        assert await FileStore(path).save(Record(6, 6)) == 6
        await store.aclose()

    within_deadline(test())


@pytest.mark.parametrize(
    "text", ["", '{"version": 1, "val', "[]", "{}", "null", "\x00\x00", '{"version": "x", "value": 1}', "[" * 100_000]
)
def test_damaged_file_is_a_store_error_that_says_what_to_do(tmp_path: Path, text: str) -> None:
    async def test() -> None:
        path = tmp_path / "key.json"
        path.write_text(text)
        for call in (FileStore(path).load(), FileStore(path).save(Record(1, 1))):
            with pytest.raises(StoreError) as raised:
                await call
            remedy = "delete it (with spec.checkpoint.pod: delete the pod), and the source starts without a checkpoint"
            assert str(raised.value) == f"{path} is damaged; {remedy}"
        assert path.read_text() == text

    within_deadline(test())


def test_full_disk_is_a_store_error_and_the_old_record_stays(tmp_path: Path) -> None:
    async def test() -> None:
        store = FileStore(tmp_path / "key.json")
        await store.save(Record(1, "old"))
        with _largest_file(10_000), pytest.raises(StoreError, match=r"key\.json: File too large"):
            await store.save(Record(2, LARGE))
        assert await store.load() == Record(1, "old")
        assert await store.save(Record(2, "new")) == 2

    within_deadline(test())


def test_path_that_is_no_directory_is_a_store_error(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match=r"file/key\.json: Not a directory"):
            await FileStore(tmp_path / "file/key.json").load()

    within_deadline(test())


WRITER = """
import asyncio, sys
from pathlib import Path
from adapter.checkpoints.file import FileStore
from adapter.checkpoints.store import Record

async def main():
    store = FileStore(Path(sys.argv[1]))
    version = (await store.load() or Record(0, 0)).version
    while True:
        version += 1
        print(await store.save(Record(version, [version] * 20_000)), flush=True)

asyncio.run(main())
"""


def test_file_is_whole_after_the_writer_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    for _ in range(5):
        command = [sys.executable, "-c", WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": os.getcwd()}) as writer:
            assert writer.stdout
            saved = [int(writer.stdout.readline()) for _ in range(3)]
            writer.send_signal(signal.SIGKILL)
            saved += [int(line) for line in writer.stdout if line.endswith("\n")]
        record = json.loads(path.read_text())
        assert record["version"] in (saved[-1], saved[-1] + 1)  # it may die between the save and the line
        assert record["value"] == [record["version"]] * 20_000


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """A write beyond ``size`` fails. Python ignores SIGXFSZ."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

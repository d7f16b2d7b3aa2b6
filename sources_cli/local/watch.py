"""Watches files for edits, with notifications of the file system if it supports them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from watchfiles import awatch

from sources_cli.arguments import files_of
from sources_cli.problem import Problem


async def edits(
    paths: Sequence[Path], contents: Mapping[Path, bytes], *, compare_every_s: float = 2.0
) -> AsyncIterator[None]:
    """Yields each time that a file no longer holds its ``contents``, at first those of the caller, or that one is new.

    Watches the directories: an editor may replace the file, and a mounted ConfigMap replaces a symbolic link beside it.
    Also compares the files every ``compare_every_s``, for network mounts and others without notifications.
    """
    files = {path.parent for file in contents for path in (file, file.resolve())}
    changes = _changes({*files, *filter(Path.is_dir, paths)}, compare_every_s)
    while True:
        before, contents = contents, contents_of(paths, contents)
        if contents != before:
            yield
        try:
            await anext(changes)
        except ExceptionGroup:  # the name of any file in the directory is not UTF-8
            await asyncio.sleep(compare_every_s)
            changes = _changes({*files, *filter(Path.is_dir, paths)}, compare_every_s)
        except (OSError, RuntimeError) as error:  # for example the system's limit of watches
            raise Problem(f"cannot watch the files: {error}; set WATCHFILES_FORCE_POLLING=1 and try again") from None


def _changes(directories: Iterable[Path], compare_every_s: float) -> AsyncGenerator[object, None]:
    return awatch(
        *directories,
        watch_filter=None,
        recursive=False,
        rust_timeout=round(compare_every_s * 1000),
        yield_on_timeout=True,
    )


def contents_of(paths: Iterable[Path], before: Mapping[Path, bytes] | None = None) -> dict[Path, bytes]:
    """What the files hold now, without pipes, which can be read only once.

    A file that is deleted or cannot be read keeps its contents from ``before``.
    """
    contents = dict(before or {})
    for file in files_of(paths):
        with contextlib.suppress(OSError):
            if file.is_file():
                contents[file] = file.read_bytes()
    return contents

"""Watches files for edits, with notifications of the file system if it supports them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path

from watchfiles import awatch

from sources_cli.admission.files import limited
from sources_cli.arguments import files_of
from sources_cli.problem import Problem


async def edits(
    paths: Sequence[Path], contents: Mapping[Path, bytes], *, compare_every_s: float = 2.0
) -> AsyncIterator[None]:
    """Yields after each edit, and after a file was added to a directory or deleted from it.

    ``contents``: what the files held when the caller read them.

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

    A file that cannot be read keeps its contents from ``before``. So does a file among ``paths`` that is missing,
    because an editor may be about to replace it.
    """
    files = files_of(paths)
    contents = {file: text for file, text in (before or {}).items() if file in files}
    for file in files:
        with contextlib.suppress(OSError):
            if file.is_file():
                contents[file] = _read(file)
    return contents


def _read(file: Path) -> bytes:
    """A file that is too large has its error as its contents, so that it is an edit when a file becomes too large."""
    try:
        return limited(file)
    except Problem as problem:
        return str(problem).encode()

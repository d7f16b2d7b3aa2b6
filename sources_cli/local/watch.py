"""Watches files for edits, with notifications of the file system if it supports them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from watchfiles import awatch

from sources_cli.problem import Problem


async def edits(files: Sequence[Path], *, compare_every_s: float = 2.0) -> AsyncIterator[None]:
    """Yields after each change of the contents of one of ``files``.

    Watches the directories: an editor may replace the file, and a mounted ConfigMap replaces a symbolic link beside it.
    Also compares the files every ``compare_every_s``, for network mounts and others without notifications.
    """
    watched = [file for file in files if file.is_file()]  # not a pipe, which can be read only once
    directories = {path.parent for file in watched for path in (file, file.resolve())}
    contents = read_contents(dict.fromkeys(watched, b""))
    changes = awatch(
        *directories,
        watch_filter=None,
        recursive=False,
        rust_timeout=round(compare_every_s * 1000),
        yield_on_timeout=True,
    )
    try:
        async for _ in changes:
            before, contents = contents, read_contents(contents)
            if contents != before:
                yield
    except (OSError, RuntimeError) as error:  # for example if the system's limit of watches is reached
        raise Problem(f"cannot watch the files: {error}; set WATCHFILES_FORCE_POLLING=1 and try again") from None


def read_contents(before: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """The present contents of the files. A file that cannot be read keeps its contents from ``before``."""
    contents = dict(before)
    for file in before:
        try:
            contents[file] = file.read_bytes()
        except OSError:
            continue
    return contents

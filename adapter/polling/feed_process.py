"""Reads a feed in a process of its own, with bounds of its own, which can be ended at any time.

feedparser is the library that knows feeds as they are. What it costs is in the hands of who wrote the feed: tags by the
hundred thousand, or one long word where an author belongs, at which a regular expression tries for hours and lets no
other thread run.

``python -m adapter.polling.feed_process`` is that process. stdin: one line of JSON (the content type), then the
feed. stdout: JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys
from typing import Any

from adapter.polling.documents import FEED_TIMES, Document, read_feed
from adapter.polling.errors import PollFailed
from adapter.serving.logs import error_location

MODULE = "adapter.polling.feed_process"
CPU_S = 60  # should nobody be there any more who ends it
MEMORY = 64 * 1024 * 1024  # the adapter's own process needs the rest of its container's
TOO_MUCH = json.dumps({"failed": f"the feed takes more than {MEMORY // 2**20} MiB to read"}).encode()


async def parse_in_subprocess(body: bytes, content_type: str) -> Document:
    told = await _ask(json.dumps(content_type).encode() + b"\n" + body)
    if "failed" in told:
        raise PollFailed(told["failed"])
    return Document(told["value"], told["value"]["entries"], FEED_TIMES)


async def _ask(question: bytes) -> dict[str, Any]:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    own = {"PYTHONPATH": os.pathsep.join(sys.path)}  # no secret of this process's
    command = [sys.executable, "-m", MODULE]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nothing, env=own)
    try:
        answer, _ = await process.communicate(question)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise PollFailed(f"the feed cannot be read: reading it ended with exit code {process.returncode}")
    return dict(json.loads(answer))


def _answer(question: bytes) -> dict[str, Any]:
    content_type, _, body = question.partition(b"\n")
    try:
        return {"value": read_feed(body, json.loads(content_type)).value}
    except MemoryError:
        raise
    except PollFailed as failure:
        return {"failed": str(failure)}
    except Exception as error:
        return {"failed": f"the feed cannot be read: {type(error).__name__} at {error_location(error)}"}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    try:
        sys.stdout.write(json.dumps(_answer(sys.stdin.buffer.read())))
    except MemoryError:  # nothing can be made any more, not even a sentence or an orderly end
        os.write(1, TOO_MUCH)
        os._exit(0)


if __name__ == "__main__":
    main()

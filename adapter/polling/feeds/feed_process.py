"""Parses a feed in a subprocess that has limits on memory and CPU time and can be killed at any time.

A malicious feed can make feedparser use hours and gigabytes: with hundreds of thousands of tags, or with one long word
as an author, on which a regular expression backtracks and blocks all threads.

The subprocess is ``python -m adapter.polling.feeds.feed_process PID``, with the process id of the adapter, and ends
together with it. stdin: one line of JSON (content type and URL), then the feed. stdout: JSON, ``{"value": …}`` or
``{"failed": "reason"}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence

from adapter.polling.documents import FEED_TIMES, Document, check_size, read_feed
from adapter.polling.errors import PollFailed
from adapter.serving.logs import error_location

COMMAND = (sys.executable, "-m", __name__)
CPU_S = 60  # for systems other than Linux: there, the subprocess does not end together with the adapter
MEMORY = 52 * 1024 * 1024  # the adapter needs the rest of the container's memory
OUT_OF_MEMORY = json.dumps({"failed": f"parsing the feed takes more than {MEMORY // 2**20} MiB of memory"}).encode()


async def parse_in_subprocess(body: bytes, content_type: str, url: str, command: Sequence[str] = COMMAND) -> Document:
    """``url``: the base of relative links."""
    environ = {"PYTHONPATH": os.pathsep.join(sys.path)}  # without the secrets of this process
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, str(os.getpid()), stdin=pipe, stdout=pipe, stderr=null, env=environ
    )
    try:
        stdout, _ = await process.communicate(json.dumps([content_type, url]).encode() + b"\n" + body)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)  # process.kill() could reap the exit code that wait() needs
            await process.wait()
    if process.returncode:
        raise PollFailed(f"the feed cannot be parsed: the parser ended with exit code {process.returncode}")
    response = json.loads(stdout)
    if "failed" in response:
        raise PollFailed(response["failed"])
    return Document(response["value"], response["value"]["entries"], FEED_TIMES)


def _parse_request(request: bytes) -> str:
    head, _, body = request.partition(b"\n")
    try:
        response = json.dumps({"value": read_feed(body, *json.loads(head)).value})
        check_size(response, "the parsed feed")  # here, before the adapter receives it
        return response
    except MemoryError:
        raise
    except PollFailed as failure:
        reason = str(failure)
    except Exception as error:
        reason = f"the feed cannot be parsed: {type(error).__name__} at {error_location(error)}"
    return json.dumps({"failed": reason})


def main() -> None:
    if sys.platform == "linux":
        from adapter.serving.parent import end_with_parent  # not at the top: the adapter does not need ctypes

        end_with_parent(int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    try:
        sys.stdout.write(_parse_request(sys.stdin.buffer.read()))
    except MemoryError:  # there is no memory left for new objects or an orderly exit
        os.write(1, OUT_OF_MEMORY)
        os._exit(0)


if __name__ == "__main__":
    main()

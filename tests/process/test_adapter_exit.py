"""How an adapter ends: never later than planned, and never without a reason in its log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapter.contract.timeouts import TIMEOUTS
from tests.process.harness import Adapter, Process, Start, display, free_port
from tests.process.silent_dns import silent_dns

ROOT = Path(__file__).parents[2]
POLL = {"SOURCE_KIND": "PollSource", "SOURCE_CONFIG": json.dumps({"url": "http://upstream.example/items"})}
TICK = {"SOURCE_DELIVERY": json.dumps({"timeout": "PT1S", "retry": 0})}


def asleep_from_stopped_to_end(process: Process) -> float:
    process.wait_for_log("stopped")
    code, _, asleep_s = process.stopped()
    assert code == 0, process.errors
    return asleep_s


@pytest.mark.parametrize("environ", [POLL, TICK], ids=["upstream", "sink"])
def test_end_does_not_wait_for_dns(start: Start, tmp_path: Path, environ: dict[str, str]) -> None:
    with silent_dns(start, tmp_path) as dns:
        source = Adapter(dns.start, "http://sink.example/", "100ms", **environ)
        dns.wait_for_query()
        assert source.get("/health")[0] == 200
        source.process.child.terminate()
        assert asleep_from_stopped_to_end(source.process) < TIMEOUTS.margin_s
        source.assert_log_is_json()


def kind(start: Start, directory: Path, body: str, *, top: str = "", field: str = "", sink: str = "") -> Process:
    """An adapter of a kind whose ``events()`` has this body. ``top``: in the module; ``field``: in the class."""
    package = directory / "ending"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ending_source.py").write_text(f"""
import asyncio, contextlib, threading, time
from pydantic import field_validator
from adapter.sdk import Event, Listener, Poller, Source, Timer
{top}

class EndingSource(Source):
    \"\"\"Ends.\"\"\"

    api_version = "example.com/v1"
    {field}

    async def events(self, context):
        {body}
        yield Event("a")
""")
    return start(
        "adapter",
        SOURCE_KIND="EndingSource",
        SOURCES_PACKAGE="ending",
        PYTHONPATH=f"{directory}:{ROOT}",
        K_SINK=sink or "http://127.0.0.1:9/",
        EVENT_SOURCE="/a/b",
        HEALTH_PORT=str(free_port()),
        SOURCE_CONFIG=json.dumps({"size": 1}) if "size" in field else "",
    )


@pytest.mark.parametrize(
    "blocking",
    [
        "await asyncio.to_thread(time.sleep, 1000)",
        "threading.Thread(target=time.sleep, args=(1000,)).start(); await asyncio.sleep(1000)",
    ],
    ids=["to_thread", "own-thread"],
)
def test_end_does_not_wait_for_a_thread_of_the_source(start: Start, tmp_path: Path, blocking: str) -> None:
    process = kind(start, tmp_path, blocking)
    process.wait_for_log("started")
    process.child.terminate()
    assert asleep_from_stopped_to_end(process) < TIMEOUTS.margin_s


RAISED = ["SystemExit(3)", "KeyboardInterrupt()", "asyncio.CancelledError()", "GeneratorExit()"]
RUNNING = """@contextlib.asynccontextmanager
    async def running(self, context):
        raise {error}
        yield"""
VALIDATOR = """size: int = 1

    @field_validator("size")
    @classmethod
    def check(cls, size):
        raise {error}"""
PLACES = {
    "module": ("pass", "raise {error}", ""),
    "class-body": ("pass", "", "raise {error}"),
    "field-validator": ("pass", "", VALIDATOR),
    "running": ("pass", "", RUNNING),
    "events": ("raise {error}", "", ""),
    "task": ("asyncio.create_task(end()); await asyncio.sleep(1000)", "async def end(): raise {error}", ""),
    "workers": ("pass", "", "def workers(self): raise {error}"),
}


CASES = [(place, "SystemExit(3)") for place in PLACES]
CASES += [(place, error) for place in ("events", "running") for error in RAISED[1:]]


@pytest.mark.parametrize(("place", "error"), CASES)
def test_exception_that_is_no_error_of_python_fails_the_source(
    start: Start, tmp_path: Path, place: str, error: str
) -> None:
    body, top, field = (text.format(error=error) for text in PLACES[place])
    process = kind(start, tmp_path, body, top=top, field=field)
    assert process.ended() == 1, process.errors
    lines = [json.loads(line) for line in process.errors]
    (failure,) = (line for line in lines if line["msg"] == "the source failed")
    assert failure["error"].startswith(error.partition("(")[0].removeprefix("asyncio."))
    assert failure["at"].startswith("ending_source.py:")


@pytest.mark.parametrize("error", [RAISED[0], *RAISED[2:]])
@pytest.mark.parametrize(
    ("base", "method"),
    [("Timer", "def tick(self, n)"), ("Poller", "async def poll(self, client)")],
    ids=["tick", "poll"],
)
def test_exception_in_tick_or_poll_fails_the_source(
    start: Start, tmp_path: Path, base: str, method: str, error: str
) -> None:
    own = f"""
class EndingSource({base}):
    \"\"\"Ends.\"\"\"

    api_version = "example.com/v1"
    {method}:
        raise {error}
"""
    package = tmp_path / "ending"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ending_source.py").write_text(f"import asyncio\nfrom adapter.sdk import {base}\n{own}")
    environ = {"SOURCE_KIND": "EndingSource", "SOURCES_PACKAGE": "ending", "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    _, url = display(start)
    process = Adapter(start, url, "100ms", **environ).process
    assert process.ended() == 1, process.errors
    (failure,) = process.logged("failed")
    assert failure["msg"] == "the source failed"
    assert failure["at"].startswith("ending_source.py:")

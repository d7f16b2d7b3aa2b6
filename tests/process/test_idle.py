"""An adapter does not wake up between ticks, except to look at the clock, and imports only what it uses."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapter.model.clock import LOOK_AGAIN_S
from adapter.testing.sink import Sink
from tests.deadline import DEADLINE_S
from tests.process.harness import Adapter, Process, Start, free_port
from tests.process.imports import Imports
from tests.process.webhook import Webhook

WINDOW_S = 0.8 * LOOK_AGAIN_S

POLLING = '''
import asyncio
from adapter.sdk import Source

class RestlessSource(Source):
    """Wakes up every second."""

    async def events(self, context):
        while True:
            await asyncio.sleep(1)
        yield
'''


def test_adapter_wakes_up_between_ticks_only_to_look_at_the_clock() -> None:
    with adapter(INTERVAL="87600h") as pid:
        assert quiet_window(pid, DEADLINE_S)


def test_measurement_detects_a_source_that_wakes_up_every_second(tmp_path: Path) -> None:
    """Shows that the test above can fail."""
    package = tmp_path / "restless"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "restless_source.py").write_text(POLLING)
    with adapter(SOURCE_KIND="RestlessSource", SOURCES_PACKAGE="restless", PYTHONPATH=str(tmp_path)) as pid:
        assert not quiet_window(pid, 2 * WINDOW_S)


# Everything that a timer needs. Another package costs each pod memory and start-up time: import it where it is used.
PACKAGES = {
    *("adapter", "aiohappyeyeballs", "annotated_types", "cloudevents", "httptools", "pydantic", "pydantic_core"),
    *("typing_extensions", "typing_inspection"),
}
MODULES = 155  # of these packages
# Of the standard library: large, and of no use to a timer.
HEAVY = {
    *("argparse", "concurrent.futures.process", "ctypes", "doctest", "gzip", "html", "http.client", "http.server"),
    *("logging.config", "logging.handlers", "multiprocessing", "optparse", "pdb", "pydoc", "sqlite3", "tarfile"),
    *("tomllib", "unittest", "urllib.request", "xml", "xmlrpc"),
}
OF_THE_MACHINE = {"_distutils_hack", "org", "sitecustomize", "usercustomize"}  # of a venv; copy looks for Jython's org


def test_timer_imports_only_what_it_needs(start: Start) -> None:
    with Sink() as sink:
        process = Adapter(start, sink.url, PYTHONPROFILEIMPORTTIME="1").process
        sink.wait_for(1, DEADLINE_S)
        imports = imports_of(process)
    assert not (found := unwanted(imports)), "\n".join(found)
    own = [name for name in imports.importer if name.partition(".")[0] in PACKAGES]
    assert len(own) <= MODULES, "\n".join([f"{len(own)} modules; the largest:", *imports.largest(10)])


def test_listener_imports_no_other_packages_than_a_timer(start: Start) -> None:
    with Sink() as sink:
        hook = Webhook(start, sink.url, PYTHONPROFILEIMPORTTIME="1", eventType="t")
        assert hook.post().status_code < 300
        sink.wait_for(1, DEADLINE_S)
        assert not (found := unwanted(imports_of(hook.process))), "\n".join(found)


def imports_of(process: Process) -> Imports:
    assert process.stop().code == 0
    return Imports.read(process.errors)


def unwanted(imports: Imports) -> list[str]:
    """The packages and heavy modules that nobody needs, each with the modules that ask for it."""
    known = PACKAGES | sys.stdlib_module_names | OF_THE_MACHINE
    packages = {name for name in imports.importer if "." not in name and not name.startswith("_")} - known
    return [imports.chain(name) for name in sorted(packages | HEAVY & imports.importer.keys())]


def test_chain_of_an_import_names_each_module_that_asks_for_it() -> None:
    lines = ["import time:       1 |          1 |     heavy.part", "import time:       1 |          2 |   heavy"]
    lines += ["import time: self [us] | cumulative | imported package", '{"msg": "a line of the log"}']
    lines += ["import time:       1 |          3 | adapter.model", "import time:       1 |          1 |   light"]
    lines += ["import time:       1 |          2 | adapter.other"]
    imports = Imports.read(lines)
    assert imports.chain("heavy.part") == "heavy.part, imported by heavy, imported by adapter.model"
    assert imports.chain("light") == "light, imported by adapter.other"
    assert imports.largest(1) == ["adapter.model: 2 modules"]


@contextmanager
def adapter(**environ: str) -> Iterator[int]:
    env = {"K_SINK": "http://127.0.0.1:9/", "HEALTH_PORT": str(free_port()), "EVENT_SOURCE": "/a/b", **environ}
    child = subprocess.Popen([sys.executable, "-m", "adapter"], env=env, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stderr
        assert '"started"' in child.stderr.readline()
        yield child.pid
    finally:
        child.terminate()
        child.communicate(timeout=DEADLINE_S)


def quiet_window(pid: int, within_s: float) -> bool:
    """True if the process did not run at all for ``WINDOW_S`` seconds."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        before = switches(pid)
        time.sleep(WINDOW_S)  # the measurement itself, not a wait for something
        if switches(pid) == before:
            return True
    return False


def switches(pid: int) -> int:
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(line.split()[1]) for text in texts for line in text.splitlines() if "ctxt_switches" in line)

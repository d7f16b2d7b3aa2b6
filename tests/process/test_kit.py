"""``sources new`` and ``sources image``: the generated README leads from an empty directory to the first event."""

from __future__ import annotations

import ast
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from sources_cli.generate import templates
from tests.deadline import DEADLINE_S
from tests.installed import environ_with
from tests.pages import section
from tests.process.harness import free_port
from tests.process.sources import ROOT, sources

WAYS = ["timer", "poll", "listen", "stream"]
# Every started Python process loads this: a connection to another machine raises an error.
NO_NETWORK = """
import ipaddress, sys

def refuse(event, arguments):
    if event not in ("socket.connect", "socket.getaddrinfo"):
        return
    host = (arguments[1] if event == "socket.connect" else arguments)[0]
    if host in (None, "", "localhost") or not isinstance(host, (str, bytes)):
        return
    try:
        local = ipaddress.ip_address(host if isinstance(host, str) else host.decode()).is_loopback or host == "0.0.0.0"
    except ValueError:
        local = False
    if not local:
        raise RuntimeError(f"{event} of {host}: no network in this test")

sys.addaudithook(refuse)
"""

Shell = Callable[[str], str]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Runs a shell command in an empty directory without network. Returns its stdout."""
    environ = environ_with(tmp_path / "site")
    (tmp_path / "site/sitecustomize.py").write_text(NO_NETWORK)
    (tmp_path / "empty").mkdir()

    def run(command: str) -> str:
        words = ["bash", "-c", command]
        directory = tmp_path / "empty"
        done = subprocess.run(
            words, cwd=directory, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


class Terminals:
    """Runs the commands of a README that need no cluster, in a second terminal while the first one is busy."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self._where = {"cwd": directory, "env": environ, "text": True}
        self._busy: list[subprocess.Popen[str]] = []

    def run(self, command: str) -> str:
        """Returns what the command printed."""
        if command.endswith(" &"):
            self._start(command.removesuffix(" &"))
            return ""
        if command == "kill %1":
            self._busy[-1].kill()
            return ""
        if command.startswith("sources run") and "--once" not in command:
            return self._until(self._start(command), r"listens on")
        if command.startswith("curl"):
            return self._call(command)
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, timeout=DEADLINE_S, check=False, **self._where
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return str(done.stdout)

    def close(self) -> None:
        for process in self._busy:
            process.kill()
            process.communicate()

    def _call(self, command: str) -> str:
        """Runs ``curl`` in the second terminal. Returns what the first terminal prints."""
        [runs] = self._busy
        words = ["bash", "-c", command.replace("http://127.0.0.1:8888/", self._url)]
        answer = subprocess.run(words, capture_output=True, timeout=DEADLINE_S, check=True, **self._where)
        assert answer.stdout.startswith("HTTP/1.1 202 "), answer.stdout
        seen = self._until(runs, r"^\d\d:\d\d:\d\d  ")
        runs.send_signal(signal.SIGINT)
        assert runs.wait(DEADLINE_S) == 0
        return seen

    def _start(self, command: str) -> subprocess.Popen[str]:
        self._busy.append(
            subprocess.Popen(["bash", "-c", f"exec {command}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             **self._where)
        )  # fmt: skip
        return self._busy[-1]

    def _until(self, process: subprocess.Popen[str], pattern: str) -> str:
        deadline = threading.Timer(2 * DEADLINE_S, process.kill)
        deadline.start()
        seen = ""
        assert process.stdout
        while line := process.stdout.readline():
            seen += line
            if re.search(pattern, line):
                deadline.cancel()
                self._url = line.rpartition(" ")[2].strip()
                return seen
        raise AssertionError(f"no line matched {pattern!r}: {seen}")


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    (tmp_path / "empty").mkdir()
    environ = environ_with(tmp_path / "site")
    (tmp_path / "site/sitecustomize.py").write_text(NO_NETWORK)
    terminals = Terminals(tmp_path / "empty", environ)
    yield terminals
    terminals.close()


def commands(text: str) -> list[str]:
    """The commands of a README that need no cluster."""
    found = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    return [command for command in found if not re.match(r"kubectl|docker", command)]


FIRST = {
    "timer": r'{"sequence": \d+, "greeting": "hello"}',
    "poll": r'{"id": 1, "name": "first"}',
    "listen": r'{"path": "/", "body": "hello"}',
    "stream": r'{"line": "line \d+"}',
}


@pytest.mark.parametrize("way", WAYS)
def test_generated_readme_leads_to_the_first_event_in_five_minutes_without_network(
    terminals: Terminals, tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    directory, other = tmp_path / "empty", str(free_port())
    started = time.monotonic()
    terminals.run(f"sources new DoorBellSource --{way}")
    for file in directory.glob("**/*[.mp][dy]"):  # port 8000 of this machine may be in use
        file.write_text(re.sub(r"\b8000\b", other, file.read_text()))
    readme = (directory / "README.md").read_text()
    output = "".join(terminals.run(command) for command in commands(readme))
    took_s = time.monotonic() - started
    assert re.search(r"[12] passed", output)
    assert output.count("written") == 5
    assert "1 source, no problems\n" in output
    assert re.search(rf"  door-bell  com\.example\.door\.bell  {FIRST[way]}$", output, re.MULTILINE), output
    assert (directory / "Dockerfile").read_text().splitlines()[1:] == ["COPY kinds kinds", "ENV SOURCES_PACKAGE=kinds"]
    [built] = re.findall(r"docker build -t (\S+)", readme)
    controller = yaml.safe_load((directory / "manifests/door_bell_source/controller.yaml").read_text())
    assert f"&image={built}&" in controller["spec"]["hooks"]["sync"]["webhook"]["path"]
    assert took_s < 300
    with capsys.disabled():
        print(f"\n[from an empty directory to the first event, {way}: {took_s:.1f} s]")


def test_network_guard_of_these_tests_raises(shell: Shell) -> None:
    for name in ("192.0.2.1", "example.com"):
        tried = shell(f"python -c 'import socket; socket.create_connection((\"{name}\", 80))' 2>&1 | tail -1")
        assert tried.endswith("no network in this test\n"), tried


@pytest.mark.parametrize("way", WAYS)
def test_generated_module_is_one_class_of_thirty_lines_that_imports_only_the_sdk(
    shell: Shell, tmp_path: Path, way: str
) -> None:
    output = shell(f"sources new HTTPDoorSource --{way}")
    files = ["kinds/http_door_source.py", "tests/test_http_door_source.py", "README.md", "sink.yaml"]
    files += {"poll": ["list.json"], "stream": ["lines.py"]}.get(way, [])
    assert output == "".join(f"{name} written\n" for name in files)
    code, test = ((tmp_path / "empty" / name).read_text() for name in files[:2])
    assert len(code.splitlines()) <= 30
    tree = ast.parse(code)
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == ["HTTPDoorSource"]
    modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert modules <= {"adapter.sdk", "collections.abc", "typing"}
    assert code.count("Field(") == code.count("description=") == 1
    compile(test, files[1], "exec")
    shell("ruff check . && ruff format --check --line-length 120 .")


@pytest.mark.parametrize("way", ["poll", "listen", "stream"])
def test_generated_test_passes_and_the_sample_passes_lint(shell: Shell, way: str) -> None:
    shell(f"sources new DoorSource --{way}")
    assert "1 passed" in shell("python -m pytest tests")
    shell("sources manifests kinds/door_source.py -o manifests")
    assert shell("sources lint --package kinds manifests/sample.yaml") == "1 source, no problems\n"


def test_page_for_authors_names_the_commands_that_differ_for_poll_and_listen() -> None:
    text = section("docs/write-a-source.md", "## From an empty directory to the cluster")
    [served] = re.findall(r"\$ (python -m http.+) &", templates.RUNS["poll"])
    [called] = re.findall(r"(curl) --include (--data \w+)", templates.RUNS["listen"])
    assert f"| `--poll` | `Poller` | Run `{served}` in a second terminal." in text
    assert f"`{' '.join(called)} http://127.0.0.1:8888/`" in text


def test_second_kind_keeps_the_readme_and_the_sink(shell: Shell, tmp_path: Path) -> None:
    shell("sources new OneSource")
    for name in ("README.md", "sink.yaml"):
        (tmp_path / "empty" / name).write_text("mine")
    output = shell("sources new TwoSource")
    assert output.splitlines()[2:] == [f"{name} kept (it already exists)" for name in ("README.md", "sink.yaml")]
    assert [(tmp_path / "empty" / name).read_text() for name in ("README.md", "sink.yaml")] == ["mine"] * 2


@pytest.mark.parametrize("path", ["kinds/door_source.py", "tests/test_door_source.py"])
def test_existing_file_of_the_kind_stops_new_before_it_writes_anything(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text("mine")
    done = sources("new", "DoorSource", cwd=tmp_path)
    message = f"sources: {path} already exists; choose another name, or delete the file\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert [file.read_text() for file in tmp_path.rglob("*.*")] == ["mine"]


@pytest.mark.parametrize("length", [53, 246, 10_000])
def test_class_name_beyond_the_limit_is_one_line(tmp_path: Path, length: int) -> None:
    name = f"{'A' * (length - len('-source'))}Source"
    done = sources("new", name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith('sources: the kind "AAAA')
    assert f" has {length} characters as " in line
    assert line.endswith("; write at most 52")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["Door", "doorSource", "Source", "Door-Source", "../DoorSource", "Türsource", ""])
def test_invalid_class_name_is_one_line(tmp_path: Path, name: str) -> None:
    done = sources("new", name, cwd=tmp_path)
    message = (
        f'sources: the class name "{name}" is not valid; write CamelCase that ends in Source, like QueueDepthSource\n'
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert list(tmp_path.iterdir()) == []


def test_new_in_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "kinds").write_text("a file")
    done = sources("new", "DoorSource", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "sources: kinds/door_source.py: File exists\n")


def test_two_templates_at_once_are_one_line(tmp_path: Path) -> None:
    done = sources("new", "DoorSource", "--poll", "--listen", cwd=tmp_path)
    message = "sources: Invalid value: write only one of --timer, --poll, --listen and --stream\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert list(tmp_path.iterdir()) == []


def test_generated_sink_equals_that_of_the_samples_and_of_the_quickstart() -> None:
    assert (ROOT / "metacontroller/samples/sink.yaml").read_text() == templates.SINK
    quickstart = yaml.safe_load_all((ROOT / "metacontroller/samples/quickstart.yaml").read_text())
    assert list(yaml.safe_load_all(templates.SINK)) == [
        document for document in quickstart if document["kind"] != "SampleSource"
    ]


def test_dockerfile_has_three_lines_with_the_given_package_and_base_image() -> None:
    done = sources("image", "--package", "our.kinds", "--from", "registry.example/base@sha256:1")
    lines = ["FROM registry.example/base@sha256:1", "COPY our/kinds our/kinds", "ENV SOURCES_PACKAGE=our.kinds"]
    assert (done.returncode, done.stdout.splitlines()) == (0, lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["--package", "a b"], '"a b" is not a dotted Python package; write one like kinds', id="package"),
        pytest.param(["--from", ""], '"" is not an image; write one like registry.local/sample-source:dev', id="image"),
    ],
)
def test_invalid_package_or_base_image_is_one_line(arguments: list[str], message: str) -> None:
    done = sources("image", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"sources: Invalid value for '{arguments[0]}': {message}\n"

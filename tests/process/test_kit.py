"""``sources new`` and ``sources image``: from an empty directory to the first event, by the commands it writes down."""

from __future__ import annotations

import ast
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hooks.dev import templates
from tests.installed import environ_with
from tests.process.test_sources_lint import sources

ROOT = Path(__file__).resolve().parents[2]
WAYS = ["timer", "poll", "listen"]
# Read by every Python process that is started: what leaves this machine raises.
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
    """Runs a command as a person types it, in an empty directory and without network; what it said on stdout."""
    environ = environ_with(tmp_path / "site")
    (tmp_path / "site/sitecustomize.py").write_text(NO_NETWORK)
    (tmp_path / "empty").mkdir()

    def run(command: str) -> str:
        words = ["bash", "-c", command]
        directory = tmp_path / "empty"
        done = subprocess.run(
            words, cwd=directory, env=environ, capture_output=True, text=True, timeout=55, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


def commands(text: str) -> list[str]:
    """Those of a README that need no cluster."""
    found = re.findall(r"^\$ (.*)$", text, re.MULTILINE)
    return [it for it in found if not re.match(r"kubectl|docker", it)]


@pytest.mark.timeout(300)
def test_from_an_empty_directory_to_the_first_event_in_five_minutes_without_network(
    shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    shell("sources new DoorBellSource")
    steps = commands((tmp_path / "empty/README.md").read_text())
    assert [it.split()[:3][-1] for it in steps] == [
        "pytest",
        "kinds/door_bell_source.py",
        "--package",
        "--package",
        ">",
    ]
    said = {step: shell(step) for step in steps}
    took_s = time.monotonic() - started
    tested, made, linted, ran, _ = said.values()
    assert "2 passed" in tested
    assert made.count("written") == 5
    assert linted == "1 source, no problem\n"
    assert re.search(
        r'  door-bell  com\.example\.door\.bell  \{"sequence": \d+, "greeting": "hello"\}$', ran, re.MULTILINE
    )
    assert (tmp_path / "empty/Dockerfile").read_text().splitlines()[1:] == [
        "COPY kinds kinds",
        "ENV SOURCES_PACKAGE=kinds",
    ]
    readme = (tmp_path / "empty/README.md").read_text()
    [built] = re.findall(r"docker build -t (\S+)", readme)
    controller = yaml.safe_load((tmp_path / "empty/manifests/door_bell_source/controller.yaml").read_text())
    assert f"&image={built}&" in controller["spec"]["hooks"]["sync"]["webhook"]["path"]
    assert took_s < 300
    with capsys.disabled():
        print(f"\n[from an empty directory to the first event: {took_s:.1f} s]")


def test_the_network_guard_of_these_tests_refuses(shell: Shell) -> None:
    for name in ("192.0.2.1", "example.com"):
        tried = shell(f"python -c 'import socket; socket.create_connection((\"{name}\", 80))' 2>&1 | tail -1")
        assert tried.endswith("no network in this test\n"), tried


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_is_one_class_of_thirty_lines_that_needs_the_sdk(
    shell: Shell, tmp_path: Path, way: str
) -> None:
    said = shell(f"sources new HTTPDoorSource --{way}")
    files = ["kinds/http_door_source.py", "tests/test_http_door_source.py", "README.md", "sink.yaml"]
    assert said == "".join(f"{name} written\n" for name in files)
    code, test = ((tmp_path / "empty" / name).read_text() for name in files[:2])
    assert len(code.splitlines()) <= 30
    tree = ast.parse(code)
    assert [it.name for it in tree.body if isinstance(it, ast.ClassDef)] == ["HTTPDoorSource"]
    modules = {it.module for it in tree.body if isinstance(it, ast.ImportFrom)}
    assert modules <= {"adapter.sdk", "collections.abc", "typing"}
    assert code.count("Field(") == code.count("description=") == 1
    compile(test, files[1], "exec")
    shell("ruff check . && ruff format --check --line-length 120 .")


@pytest.mark.parametrize("way", ["poll", "listen"])
def test_its_own_test_passes_and_its_sample_is_accepted(shell: Shell, way: str) -> None:
    shell(f"sources new DoorSource --{way}")
    assert "1 passed" in shell("python -m pytest tests")
    shell("sources manifests kinds/door_source.py -o manifests")
    assert shell("sources lint --package kinds manifests/sample.yaml") == "1 source, no problem\n"


def test_a_second_kind_leaves_the_readme_and_the_sink_as_they_are(shell: Shell, tmp_path: Path) -> None:
    shell("sources new OneSource")
    for name in ("README.md", "sink.yaml"):
        (tmp_path / "empty" / name).write_text("mine")
    said = shell("sources new TwoSource")
    assert said.splitlines()[2:] == [f"{it} is there already and stays as it is" for it in ("README.md", "sink.yaml")]
    assert [(tmp_path / "empty" / it).read_text() for it in ("README.md", "sink.yaml")] == ["mine"] * 2


@pytest.mark.parametrize("path", ["kinds/door_source.py", "tests/test_door_source.py"])
def test_a_file_of_the_kind_that_is_there_stops_it_before_anything_is_written(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text("mine")
    done = sources("new", "DoorSource", cwd=tmp_path)
    said = f"sources: {path} exists; choose another name, or take the file away\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert [it.read_text() for it in tmp_path.rglob("*.*")] == ["mine"]


@pytest.mark.parametrize("name", ["Door", "doorSource", "Source", "Door-Source", "../DoorSource", "Türsource", ""])
def test_a_name_that_is_no_kind_is_one_line(tmp_path: Path, name: str) -> None:
    done = sources("new", name, cwd=tmp_path)
    said = f'sources: the class "{name}" names a kind: write CamelCase that ends with Source\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "kinds").write_text("a file")
    done = sources("new", "DoorSource", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "sources: kinds/door_source.py: File exists\n")


def test_the_sink_it_writes_is_the_one_of_the_samples_and_of_the_quickstart() -> None:
    assert (ROOT / "metacontroller/samples/sink.yaml").read_text() == templates.SINK
    quickstart = yaml.safe_load_all((ROOT / "metacontroller/samples/quickstart.yaml").read_text())
    assert list(yaml.safe_load_all(templates.SINK)) == [it for it in quickstart if it["kind"] != "SampleSource"]


def test_the_image_is_three_lines_for_the_package_and_the_base_one_names() -> None:
    done = sources("image", "--package", "our.kinds", "--from", "registry.example/base@sha256:1")
    lines = ["FROM registry.example/base@sha256:1", "COPY our/kinds our/kinds", "ENV SOURCES_PACKAGE=our.kinds"]
    assert (done.returncode, done.stdout.splitlines()) == (0, lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--package", "a b"], '"a b" is no dotted Python package; write one like kinds', id="package"),
        pytest.param(["--from", ""], '"" is no image; write one like registry.local/sample-source:dev', id="image"),
    ],
)  # fmt: skip
def test_an_image_of_something_else_is_refused(arguments: list[str], said: str) -> None:
    done = sources("image", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"{said}\n")

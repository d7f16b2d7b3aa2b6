"""The ``sources`` command itself: help, completion, errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from adapter import __version__
from sources_cli.problem import EXTRA_MODULES
from tests.deadline import DEADLINE_S
from tests.process.sources import COMMAND, ENVIRON, QUICKSTART, ROOT, options, sources
from tests.process.terminal import terminal

COMMANDS = ["run", "render", "lint", "manifests", "new", "image"]
ON_CLUSTERS = ["explain", "list", "events"]


def test_help_lists_the_commands() -> None:
    result = sources("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.findall(r"^  ([a-z]+)  +\S", result.stdout, re.MULTILINE) == COMMANDS + ON_CLUSTERS
    assert "..." not in result.stdout.partition("Commands:")[2]  # no description is cut


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_lists_its_options_as_plain_text(command: str) -> None:
    result = sources(command, "-h")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.isascii()
    shown = re.findall(r"^  (?:-[a-z], )?(--[a-z-]+)", result.stdout, re.MULTILINE)
    assert shown == [
        option.name for option in options() if option.command == command and option.name.startswith("--")
    ] + ["--help"]


@pytest.mark.parametrize(("command", "argument"), [("lint", "FILE"), ("manifests", "MODULE"), ("new", "KIND")])
def test_help_shows_an_argument_without_its_python_type(command: str, argument: str) -> None:
    assert re.search(rf"^  {argument}  +[A-Z]", sources(command, "-h").stdout, re.MULTILINE)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_ends_with_examples_whose_options_exist(command: str) -> None:
    done = sources(*command.split(), "--help", COLUMNS="200")
    shown = done.stdout.partition("Examples:")[2]
    known = {option.name for option in options()} | {"-o"}
    assert f"sources {command}" in shown
    assert set(re.findall(r" (--?[a-z][a-z-]*)", shown)) <= known
    assert set(re.findall(r"sources ([a-z]+)", shown)) <= set(COMMANDS)


def test_command_alone_prints_the_help() -> None:
    result = sources()
    assert (result.returncode, result.stderr, result.stdout) == (0, "", sources("--help").stdout)


def test_version_is_printed() -> None:
    result = sources("--version")
    assert (result.returncode, result.stdout) == (0, f"sources {__version__}\n")


@pytest.mark.parametrize("module", ["typer", "yaml", "watchfiles", "celpy"])
def test_missing_extra_is_one_line_that_names_it(module: str) -> None:
    """None in ``sys.modules`` makes an import fail as if the package were not installed."""
    code = f"import sys, runpy; sys.modules[{module!r}] = None; sys.argv[1:] = ['run', {str(QUICKSTART)!r}]; "
    words = [sys.executable, "-c", code + "runpy.run_module('sources_cli', run_name='__main__')"]
    done = subprocess.run(words, cwd=ROOT, env=ENVIRON, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    message = f"the package {module} is not installed; install the extra dev, for example: pip install '.[dev]'"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"sources: {message}\n")


def test_modules_of_the_extra_are_those_of_pyproject() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    names = {re.split(r"[<>=]", requirement)[0] for requirement in extra} - {"pytest"}
    assert {{"celpy": "cel-python", "yaml": "pyyaml"}.get(module, module) for module in EXTRA_MODULES} == names


def test_every_option_has_a_description() -> None:
    assert [option for option in options() if not option.meaning.endswith(".")] == []


def test_help_on_a_terminal_fits_its_width() -> None:
    with terminal([*COMMAND, "run", "--help"], ROOT, columns=60, rows=140, PYTHONPATH=str(ROOT)) as screen:
        screen.wait_for("--for", "--sink", "╭", "╯")


def test_default_package_comes_from_the_environment() -> None:
    result = sources("run", QUICKSTART, SOURCES_PACKAGE="no_such_package")
    message = 'sources: --package is "no_such_package": no such package'
    assert (result.returncode, result.stderr.startswith(message), result.stderr.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["rnu"], "No such command 'rnu'. Did you mean 'run'?", id="misspelled-command"),
        pytest.param(["run"], "Missing argument 'FILE'.", id="no-file"),
        pytest.param(
            ["lint", "a", "-o", "xml"],
            "Invalid value for '-o' / '--output': 'xml' is not one of 'text', 'yaml', 'json'.",
            id="not-a-choice",
        ),
        pytest.param(
            ["lint", "a", "--package", "kinds/"],
            "Invalid value for '--package' (env var: 'SOURCES_PACKAGE'): "
            '"kinds/" is not a dotted Python package; write one like kinds',
            id="directory-as-package",
        ),
    ],
)
def test_usage_error_is_one_line_with_exit_code_2(arguments: list[str], message: str) -> None:
    result = sources(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"sources: {message}\n")


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        pytest.param("sources r", ["run", "render"], id="command"),
        pytest.param("sources run --on", ["--once"], id="option"),
        pytest.param("sources lint -o ", ["text", "yaml", "json"], id="value"),
    ],
)
def test_bash_completes(line: str, completions: list[str]) -> None:
    position = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    result = sources(_SOURCES_COMPLETE="complete_bash", **position)
    assert (result.returncode, result.stdout.split()) == (0, completions)


def test_install_completion_writes_to_the_home_directory(tmp_path: Path) -> None:
    result = sources(
        "--install-completion", "bash", HOME=str(tmp_path), _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1"
    )
    assert result.returncode == 0, result.stderr
    assert "_SOURCES_COMPLETE=complete_bash" in (tmp_path / ".bash_completions/sources.sh").read_text()


def test_help_and_completion_import_no_command() -> None:
    """A press of Tab runs this; each command loads pydantic, httpx2 or YAML."""
    code = "import sys; from sources_cli.__main__ import main; main(['--help']); print(*sys.modules)"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=ROOT, env=ENVIRON, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    modules = set(done.stdout.splitlines()[-1].split())
    assert "typer" in modules
    assert (
        modules & {"pydantic", "httpx2", "yaml", "rich", "watchfiles", "sources_cli.run", "sources_cli.kind"} == set()
    )


def shell(arguments: str, redirection: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {' '.join(COMMAND)} {arguments} {redirection}"], cwd=ROOT,
        env={**ENVIRON, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip


PRINTING = {
    "run": f"run {QUICKSTART}",
    "render": f"render {QUICKSTART} {QUICKSTART}",
    "lint": f"lint {QUICKSTART}",
    "manifests": "manifests adapter.sources.sample_source",
    "image": "image",
    "help": "--help",
}


@pytest.mark.parametrize("arguments", PRINTING.values(), ids=PRINTING)
@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_closed_pipe_ends_the_command_without_an_error(arguments: str, reader: str) -> None:
    done = shell(arguments, f"| {reader}")
    assert (done.returncode, done.stderr) == (0, ""), done


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full")
@pytest.mark.parametrize("arguments", PRINTING.values(), ids=PRINTING)
def test_full_disk_is_one_line_with_exit_code_2(arguments: str) -> None:
    done = shell(arguments, "> /dev/full")
    message = "sources: cannot write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, message), done


def test_closed_output_is_no_error() -> None:
    done = shell(f"lint {QUICKSTART}", ">&-")
    assert (done.returncode, done.stderr) == (0, "")


PRESSING = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "NAME":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("module", ["adapter", "typer", "sources_cli.run", "asyncio", "watchfiles"])
def test_ctrl_c_during_the_imports_prints_nothing(tmp_path: Path, module: str) -> None:
    """A finder that Python asks first presses Ctrl-C when a module of that name is imported."""
    (tmp_path / "sitecustomize.py").write_text(PRESSING.replace("NAME", module))
    done = sources("run", QUICKSTART, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("module", ["asyncio", "cloudevents", "adapter.serving.server"])
def test_ctrl_c_during_the_imports_of_a_display_prints_nothing(tmp_path: Path, module: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(PRESSING.replace("NAME", module))
    words = [sys.executable, "-m", "adapter.display", "--port", "0"]
    environ = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8:strict"])
def test_character_that_the_terminal_cannot_show_is_escaped(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / os.fsdecode(b"\xff.yaml")
    file.write_text(QUICKSTART.read_text().replace("interval: 1s", "interval: soon"))
    result = sources("lint", file, PYTHONIOENCODING=encoding)
    assert (result.returncode, result.stderr) == (1, "")
    assert result.stdout.startswith(f"{tmp_path}/\\udcff.yaml:")

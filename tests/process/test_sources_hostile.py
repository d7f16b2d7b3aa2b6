"""Files that would hurt a program that trusts them: each is one error, with little memory and in little time."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sources_cli.arguments import RunOptions
from sources_cli.problem import Problem
from sources_cli.run import run
from sources_cli.screen.plain import PlainScreen
from tests.deadline import DEADLINE_S
from tests.process.sources import COMMAND, ENVIRON, QUICKSTART, quickstart_with, sources
from tests.unit.sources_cli.screen.hostile import TEXTS, unsafe

HEAD = "apiVersion: samples.knative.dev/v1alpha1\nkind: SampleSource\nmetadata:\n  name: a\n"
GOOD = f"{HEAD}spec:\n  sink:\n    uri: http://h\n"
GIBIBYTE = 2**30
ALIASES = "".join(f"? &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n: 1\n" for n in range(9))
FILES = {  # contents -> the error
    "aliases": (ALIASES, ":7: broken YAML: the document contains excessive aliasing; write the values instead"),
    "null": (f"{GOOD}~: 1\n", ":8: broken YAML: key ~ is not a string; put it in quotes"),
    "number": (f"{GOOD}x: !!int ''\n", ':8: broken YAML: "" is not a value of type int that JSON can hold'),
    "infinity": (f"{GOOD}x: .inf\n", ':8: broken YAML: ".inf" is not a value of type float that JSON can hold'),
    "nul": (f"{GOOD}x: \0\n", ":8: broken YAML: unacceptable character #x0000: special characters are not allowed"),
    "deep": (f"{GOOD}x: {'[' * 200}\n", ":8: broken YAML: lists and maps are more than 100 levels deep"),
    "latin": (f"{GOOD}x: é\n".encode("latin-1"), ": the file is not UTF-8 text"),
    "utf16": (GOOD.encode("utf-16"), ": the file is not UTF-8 text"),
    "large": (f"{GOOD}x: {'a' * 11_000_000}\n", ": the file is larger than 10 MiB; split it"),
    "namespace": (
        GOOD.replace("name: a", "name: a\n  namespace: ../../etc"),
        ':5: SampleSource a: metadata.namespace: Invalid value: "../../etc": write at most 63 lower-case letters, '
        "digits and '-', like my-namespace",
    ),
}


def limited(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs the command with at most 1 GiB of address space."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRON,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTE, GIBIBYTE)),
    )


@pytest.mark.parametrize("command", ["lint", "render", "run"])
def test_each_file_that_cannot_be_used_is_one_line(tmp_path: Path, command: str) -> None:
    for name, (contents, _) in FILES.items():
        (tmp_path / f"{name}.yaml").write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "loop").symlink_to(".")
    special = {"/dev/zero": ": the file is larger than 10 MiB; split it", "loop.yaml": ": Too many levels of symbolic"}
    result = limited(command, *(f"{name}.yaml" for name in FILES), *special, "loop", cwd=tmp_path)
    assert result.returncode == 2
    for name, problem in {**{f"{name}.yaml": error for name, (_, error) in FILES.items()}, **special}.items():
        lines = result.stderr.splitlines() + result.stdout.splitlines()
        assert [line for line in lines if line.removeprefix("sources: ").startswith(f"{name}:")], name
        expected = problem.replace("SampleSource a:", "SampleSource ../../etc/a:") if command == "lint" else problem
        assert any(line.removeprefix("sources: ").startswith(f"{name}{expected}") for line in lines), lines
    assert "Traceback" not in result.stderr


def test_pipe_is_read_once_and_standard_input_is_limited(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with subprocess.Popen([*COMMAND, "lint", "pipe.yaml"], cwd=tmp_path, env=ENVIRON, stdout=subprocess.PIPE) as lint:
        (tmp_path / "pipe.yaml").write_text(f"\ufeff{GOOD}")
        assert lint.communicate(timeout=DEADLINE_S)[0] == b"1 source, no problems\n"
    with Path("/dev/zero").open("rb") as zeros:
        result = subprocess.run(
            [*COMMAND, "lint", "-"],
            env=ENVIRON,
            cwd=tmp_path,
            stdin=zeros,
            capture_output=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert (result.returncode, result.stderr) == (2, b"sources: -: the file is larger than 10 MiB; split it\n")


def hostile(text: str) -> str:
    """Objects with the text in each place that a message may show."""
    source = {"apiVersion": "samples.knative.dev/v1alpha1", "kind": "SampleSource", "metadata": {"name": "a"}}
    sink = {"sink": {"uri": "http://h"}}
    objects = [
        {**source, "spec": {**sink, text: 1}},
        {**source, "spec": {"sink": {"uri": text}}},
        {**source, "spec": {"sink": {"ref": {"apiVersion": "v1", "kind": text, "name": text}}}},
        {**source, "spec": {**sink, "interval": text, "serviceAccountName": text}},
        {**source, "spec": {**sink, "ceOverrides": {"extensions": {text: text}}}},
        {**source, "spec": sink, "metadata": {"name": text, "namespace": text}},
        {**source, "spec": sink, "metadata": {"name": "a", "labels": {text: text}, "annotations": {text: text}}},
        {**source, "apiVersion": text, "spec": sink},
        {**source, "kind": f"{text}Source", "spec": sink},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": text}, "data": {text: text}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": text}, "spec": text},
        {"apiVersion": text, "kind": text, "metadata": {"name": text}},
        {text: text},
        text,
    ]
    return "---\n".join(json.dumps(each) + "\n" for each in objects)


@pytest.mark.parametrize(
    "command",
    [("lint",), ("lint", "-o", "json"), ("lint", "-o", "yaml"), ("render",), ("render", "-o", "json"), ("run",)],
    ids=" ".join,
)
def test_text_of_a_file_does_not_control_the_terminal(tmp_path: Path, command: tuple[str, ...]) -> None:
    for number, text in enumerate(TEXTS):
        (tmp_path / f"{number}.yaml").write_text(hostile(text), encoding="utf-8")
    (tmp_path / "9.yaml").write_text(f'{GOOD}  "\\e[2J\\u202e": "\\e]0;x\\a"\n? "\\e[2J"\n: !!int "\\e"\n')
    (tmp_path / "name\x1b[2J.yaml").write_text("[")
    result = limited(*command, ".", cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert unsafe(result.stdout + result.stderr) == []
    assert not re.search("^sources: forged", result.stdout + result.stderr, re.MULTILINE)


def test_accepted_text_is_escaped_in_the_output_of_render(tmp_path: Path) -> None:
    text = "a\x7f\x9b2J\u202e"
    source = {"apiVersion": "samples.knative.dev/v1alpha1", "kind": "SampleSource", "metadata": {"name": "a"}}
    spec = {"sink": {"uri": "http://h"}, "ceOverrides": {"extensions": {"a": text}}}
    (tmp_path / "a.yaml").write_text(json.dumps(source | {"spec": spec}))
    for output, parse in (("json", json.loads), ("yaml", yaml.safe_load)):
        result = limited("render", "-o", output, "a.yaml", cwd=tmp_path)
        assert (result.returncode, unsafe(result.stdout + result.stderr)) == (0, [])
        [container] = parse(result.stdout)["children"][0]["spec"]["template"]["spec"]["containers"]
        [overrides] = [each["value"] for each in container["env"] if each["name"] == "K_CE_OVERRIDES"]
        assert json.loads(overrides) == {"extensions": {"a": text}}


@pytest.mark.parametrize(
    "command",
    [
        ("new",), ("manifests",), ("manifests", "adapter.sources.sample_source", "--hook"), ("image", "--from"),
        ("image", "--package"), ("run", "--sink"), ("run", "--for"), ("lint", "--package"), ("lint",), ("",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_argument_does_not_control_the_terminal(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = limited(*command, " ".join(TEXTS).replace("\0", ""), cwd=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert unsafe(result.stdout + result.stderr) == []


def test_error_in_a_background_task_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    class Broken(PlainScreen):
        def row(self, source: Any, events: int, url: str = "") -> None:
            raise KeyError("no row")

    options = RunOptions(files=[QUICKSTART], package="adapter.sources")
    with pytest.raises(
        Problem, match=r"^the run ended because of a bug in sources: KeyError: 'no row' \(.*\.py:\d+\); "
    ):
        asyncio.run(asyncio.wait_for(run(options, lambda documents: Broken(documents.sources)), DEADLINE_S))


def test_error_about_an_event_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    class Broken(PlainScreen):
        def event(self, name: str, event: Any) -> None:
            raise KeyError("no event")

    options = RunOptions(files=[QUICKSTART], package="adapter.sources")
    with pytest.raises(Problem, match=r"^the run ended because of a bug in sources: KeyError: 'no event' \("):
        asyncio.run(asyncio.wait_for(run(options, lambda documents: Broken(documents.sources)), DEADLINE_S))


def test_variables_of_a_display_in_a_file_run_no_code(tmp_path: Path) -> None:
    """Python imports ``sitecustomize`` at its start, and a directory before the project's own one."""
    (tmp_path / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    env = " " * 10 + "env:\n"
    file = quickstart_with(tmp_path, env, f"{env}{' ' * 12}- {{name: PYTHONPATH, value: {tmp_path}}}\n")
    result = sources("run", file, "--once")
    assert result.returncode == 0, result.stderr
    assert not (tmp_path / "ran").exists()

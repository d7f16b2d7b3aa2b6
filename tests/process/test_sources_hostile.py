"""Files that would hurt a program that trusts them: each is one error, with little memory and in little time."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from tests.process.sources import COMMAND, ENVIRON

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
    "large": (f"{GOOD}x: {'a' * 100_000_000}\n", ": the file is larger than 10 MiB; split it"),
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
        timeout=50,
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
        assert lint.communicate(timeout=50)[0] == b"1 source, no problems\n"
    with Path("/dev/zero").open("rb") as zeros:
        result = subprocess.run(
            [*COMMAND, "lint", "-"],
            env=ENVIRON,
            cwd=tmp_path,
            stdin=zeros,
            capture_output=True,
            timeout=50,
            check=False,
        )
    assert (result.returncode, result.stderr) == (2, b"sources: -: the file is larger than 10 MiB; split it\n")

"""A forked ``sources`` command does what a started one does, and leaves nothing to the next."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.process import forked
from tests.process.sources import COMMAND, ENVIRON, QUICKSTART, ROOT, sources, write_kind

CALLS = {
    "help": (["lint", "--help"], "", {"COLUMNS": "60"}),
    "user error": (["lint", "a", "-o", "xml"], "", {}),
    "findings on standard input": (["lint", "-"], QUICKSTART.read_text().replace("interval: 1s", "interval: é"), {}),
    "variable": (["run", str(QUICKSTART)], "", {"SOURCES_PACKAGE": "no_such_package"}),
}


@pytest.mark.parametrize("name", CALLS)
def test_forked_command_has_the_output_and_the_exit_code_of_a_started_one(name: str) -> None:
    words, stdin, environ = CALLS[name]
    started = subprocess.run(
        [*COMMAND, *words], cwd=ROOT, env=ENVIRON | environ, input=stdin, capture_output=True, text=True, check=False
    )
    done = sources(*words, stdin=stdin, **environ)
    assert (done.returncode, done.stdout, done.stderr) == (started.returncode, started.stdout, started.stderr)


def test_kinds_of_one_name_below_two_directories_are_not_mixed_up(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_kind(tmp_path / name, f"event_types = ('com.example.{name}',)")
        done = sources("manifests", "kinds/tiny_source.py", "-o", "made", cwd=tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert f"com.example.{name}" in (tmp_path / name / "made/crd.yaml").read_text()


def test_command_that_takes_too_long_is_killed_and_the_next_one_runs() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        forked.run(["run", str(QUICKSTART)], ROOT, {}, "", timeout_s=0.5)
    assert sources("--version").returncode == 0

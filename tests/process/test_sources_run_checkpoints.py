"""The checkpoints of ``sources run``: the next run continues where the last one ended."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from tests.deadline import DEADLINE_S
from tests.process.sources import QUICKSTART, interrupted, read_until, running, sources

COUNTS = '''from datetime import timedelta

from adapter.sdk import Event, Field, Source


class CountSource(Source):
    """Sends the next number."""

    is_poller = True
    step: int = Field(1, description="What is added.")
    keeps_checkpoint = ("step",)

    async def events(self, context):
        number = context.checkpoint.load() or 0
        while True:
            yield Event("com.example.number", number, id=str(number))
            number += self.step
            context.checkpoint.save(number)
            await context.clock.sleep_until(context.clock.now() + timedelta(milliseconds=50))
'''
SOURCE = """---
apiVersion: samples.knative.dev/v1alpha1
kind: CountSource
metadata: {name: count}
spec:
  step: 1
  sink: {ref: {kind: Service, name: event-display, apiVersion: v1}}
"""


def counting(directory: Path) -> Path:
    (directory / "kinds").mkdir()
    (directory / "kinds/count_source.py").write_text(COUNTS)
    (directory / "count.yaml").write_text("---".join(QUICKSTART.read_text().split("---")[:2]) + SOURCE)
    return directory


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"  count  com\.example\.number  (\d+)$", text, re.MULTILINE)]


def counted(directory: Path, *options: str, until: str = r"com\.example\.number") -> tuple[list[int], str]:
    """The numbers that one run shows, and its stderr."""
    with running("--package", "kinds", "count.yaml", *options, cwd=directory) as process:
        seen = read_until(process, r"^count +CountSource +True ") + read_until(process, until)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=DEADLINE_S)
    return numbers(seen + output), errors


def test_next_run_continues_and_says_so_until_fresh(tmp_path: Path) -> None:
    counting(tmp_path)
    first, errors = counted(tmp_path)
    assert (first, errors) == (list(range(len(first))), "")
    second, errors = counted(tmp_path)
    assert second == list(range(len(first), len(first) + len(second)))
    directory = ".sources/checkpoints/default/CountSource/count"
    assert errors == f"count: continues from its checkpoint in {directory}; --fresh starts without it\n"
    fresh, errors = counted(tmp_path, "--fresh")
    assert (fresh[0], errors) == (0, "")


def test_edit_continues_from_the_checkpoint_of_the_old_adapter(tmp_path: Path) -> None:
    file = counting(tmp_path) / "count.yaml"
    with running("--package", "kinds", "count.yaml", cwd=tmp_path) as process:
        seen = read_until(process, r"^count +CountSource +True ") + read_until(process, r"com\.example\.number")
        file.write_text(file.read_text().replace("step: 1", "step: 1000"))
        seen += read_until(process, r"com\.example\.number  \d{4,}$")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_S)
    before = [number for number in numbers(seen) if number < 1000]
    assert sorted(set(before)) == list(range(max(before) + 1))  # two adapters overlap, so some come twice


def test_once_starts_without_a_checkpoint_and_keeps_none(tmp_path: Path) -> None:
    counting(tmp_path)
    for _ in range(2):
        ran = sources("run", "--package", "kinds", "count.yaml", "--once", cwd=tmp_path)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert numbers(ran.stdout)[0] == 0
    assert not (tmp_path / ".sources").exists()


def test_database_without_its_secret_is_named_and_nothing_else_is_used_instead(tmp_path: Path) -> None:
    file = counting(tmp_path) / "count.yaml"
    file.write_text(f"{file.read_text()}  checkpoint: {{url: {{secretKeyRef: {{name: db, key: url}}}}}}\n")
    error = 'CreateContainerConfigError: Secret "db" not found in namespace "default"; add it to the YAML'
    with running("--package", "kinds", "count.yaml", cwd=tmp_path) as process:
        read_until(process, error, stream="stderr")
        ran = interrupted(process)
    assert numbers(ran.stdout) == []
    assert not (tmp_path / ".sources").exists()


def test_source_without_a_checkpoint_starts_anew_and_keeps_nothing(tmp_path: Path) -> None:
    file = counting(tmp_path) / "count.yaml"
    file.write_text(f"{file.read_text()}  checkpoint: {{none: {{}}}}\n")
    for _ in range(2):
        assert counted(tmp_path)[0][0] == 0
    assert not (tmp_path / ".sources").exists()


def test_render_shows_the_volume_of_a_cluster(tmp_path: Path) -> None:
    counting(tmp_path)
    rendered = sources("render", "--package", "kinds", "count.yaml", cwd=tmp_path)
    assert "file:///checkpoint" in rendered.stdout
    assert "emptyDir" in rendered.stdout
    assert not (tmp_path / ".sources").exists()

"""Defaults for spec.adapter, of a class and of a file, in the commands of ``sources``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.process.sources import QUICKSTART, read_until, running, sources, write_kind

CLASS = "adapter = {'resources': {'limits': {'memory': '300Mi'}}, 'env': [{'name': 'GREETING', 'value': 'class'}]}"
SOURCE: dict[str, Any] = {
    "apiVersion": "samples.knative.dev/v1alpha1",
    "kind": "TinySource",
    "metadata": {"name": "tiny", "labels": {"team": "blue", "other": "x"}},
    "spec": {"sink": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "event-display"}}, "interval": "500ms"},
}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A kind with defaults, its source, a display as its sink, and defaults of the cluster."""
    kind = write_kind(tmp_path, CLASS)
    made = "    def tick(self, n): return Event(type='a', data=os.environ.get('GREETING'))"
    kind.write_text("import os\n" + re.sub(r"    def tick.*", made, kind.read_text()))
    display = list(yaml.safe_load_all(QUICKSTART.read_text()))[:-1]
    (tmp_path / "source.yaml").write_text(yaml.safe_dump_all([*display, SOURCE]))
    env = [{"name": "GREETING", "value": "cluster"}]
    (tmp_path / "defaults.yaml").write_text(yaml.safe_dump({"env": env, "resources": {"limits": {"cpu": "2000m"}}}))
    return tmp_path


def rendered(files: Path, *options: str) -> Any:
    done = sources("render", "--package", "kinds", "-o", "json", "source.yaml", *options, cwd=files)
    assert (done.returncode, done.stderr) == (0, "")
    [deployment] = json.loads(done.stdout)["children"]
    return deployment


def test_render_shows_the_defaults_of_class_and_file_and_the_copied_labels(files: Path) -> None:
    deployment = rendered(files)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"memory": "300Mi"}
    assert "team" not in deployment["metadata"]["labels"]
    deployment = rendered(files, "--adapter-defaults", "defaults.yaml", "--copied-labels", "team")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "300Mi"}
    assert container["env"][-1] == {"name": "GREETING", "value": "cluster"}
    for metadata in (deployment["metadata"], deployment["spec"]["template"]["metadata"]):
        assert metadata["labels"]["team"] == "blue"
        assert "other" not in metadata["labels"]


FILE_OPTION = ("--adapter-defaults", "defaults.yaml")


@pytest.mark.parametrize(("options", "greeting"), [((), "class"), (FILE_OPTION, "cluster")], ids=["class", "file"])
def test_run_sets_the_variables_of_the_defaults(files: Path, options: tuple[str, ...], greeting: str) -> None:
    with running("--package", "kinds", "source.yaml", *options, cwd=files) as process:
        read_until(process, rf'  tiny  a  "{greeting}"')


def test_same_options_give_current_manifests(files: Path) -> None:
    options = ("--adapter-defaults", "defaults.yaml", "--copied-labels", "team", "-o", "made")
    assert sources("manifests", "kinds/tiny_source.py", *options, cwd=files).returncode == 0
    assert sources("manifests", "kinds/tiny_source.py", *options, "--check", cwd=files).returncode == 0
    assert sources("manifests", "kinds/tiny_source.py", "-o", "made", "--check", cwd=files).returncode == 1


def test_default_checkpoint_reaches_manifests_render_and_lint(files: Path) -> None:
    """The same default as a file and as JSON. A source with another checkpoint keeps it."""
    (files / "checkpoint.yaml").write_text("volume: {claimName: positions}\n")
    inline = ("--checkpoint", '{"volume":{"claimName":"positions"}}')
    for option in (inline, ("--checkpoint", "checkpoint.yaml")):
        made = sources("manifests", "kinds/tiny_source.py", *option, "-o", "made", cwd=files)
        assert (made.returncode, made.stderr) == (0, "")
        assert rendered(files, *option)["spec"]["strategy"] == {"type": "Recreate"}
    assert "written" not in made.stdout
    assert "&checkpoint=%7B%22volume" in (files / "made/controller.yaml").read_text()
    assert "Default: volume." in (files / "made/crd.yaml").read_text()
    check = ("manifests", "kinds/tiny_source.py", "-o", "made", "--check")
    assert sources(*check, *inline, cwd=files).returncode == 0
    stale = sources(*check, cwd=files)
    assert (stale.returncode, stale.stderr.count("is out of date")) == (1, 2)
    webhook = {"apiVersion": SOURCE["apiVersion"], "kind": "WebhookSource", "metadata": {"name": "w"}}
    (files / "webhook.yaml").write_text(json.dumps({**webhook, "spec": {"sink": {"uri": "http://h"}, "replicas": 2}}))
    assert sources("lint", "webhook.yaml", cwd=files).returncode == 0
    refused = sources("lint", "webhook.yaml", *inline, cwd=files)
    assert refused.returncode == 1
    assert refused.stdout.startswith("webhook.yaml:1: WebhookSource default/w: spec.replicas: Invalid value: with a ")


def test_default_checkpoint_is_what_missed_ticks_need(tmp_path: Path) -> None:
    """``missed: all`` needs a checkpoint that outlives the pod, in the source or in the cluster."""
    *shown, source = yaml.safe_load_all(QUICKSTART.read_text())
    source["spec"] |= {"missed": "all", "interval": "500ms"}
    (tmp_path / "missed.yaml").write_text(yaml.safe_dump_all([*shown, source]))
    (tmp_path / "checkpoint.yaml").write_text("volume: {claimName: positions}\n")
    for command in (("render",), ("lint",), ("run", "--once")):
        refused = sources(*command, "missed.yaml", cwd=tmp_path)
        assert refused.returncode == (1 if command == ("lint",) else 2)
        assert "spec.missed: Invalid value: latest and all need a position that outlives the pod" in (
            refused.stdout + refused.stderr
        )
        accepted = sources(*command, "missed.yaml", "--checkpoint", "checkpoint.yaml", cwd=tmp_path)
        assert accepted.returncode == 0, accepted


def test_wrong_default_of_a_class_is_refused_with_class_field_and_remedy(tmp_path: Path) -> None:
    write_kind(tmp_path, "adapter = {'resources': {'limits': {'memory': 'lots'}}}")
    wrong = 'TinySource.adapter.resources.limits.memory is "lots": write bytes like "256Mi", at least 1Mi'
    done = sources("manifests", "kinds/tiny_source.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"sources: {wrong}\n")
    (tmp_path / "source.yaml").write_text(yaml.safe_dump(SOURCE))
    done = sources("lint", "--package", "kinds", "source.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith(f"TinySource default/tiny: {wrong}\n")


@pytest.mark.parametrize("command", ["manifests", "render", "run"])
def test_wrong_file_is_refused_with_file_line_field_and_remedy(files: Path, command: str) -> None:
    (files / "defaults.yaml").write_text("tolerations: []\nresources: {limits: {memory: lots}}\n")
    what = ("kinds/tiny_source.py",) if command == "manifests" else ("--package", "kinds", "source.yaml")
    done = sources(command, *what, "--adapter-defaults", "defaults.yaml", cwd=files)
    assert (done.returncode, done.stdout) == (2, "")
    problem = 'defaults.yaml:2: resources.limits.memory: Invalid value: "lots": write bytes like "256Mi"'
    assert done.stderr.startswith(f"sources: {problem}")
    assert done.stderr.count("\n") == 1


def test_wrong_label_name_is_refused() -> None:
    done = sources("manifests", "adapter.sources.sample_source", "--copied-labels", "team,a b")
    assert done.returncode == 2
    assert '"a b" is not the name of a label; write one like team or example.com/cost-center' in done.stderr

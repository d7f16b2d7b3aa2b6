"""``make release`` and ``make dist`` in a copy of this tree, with a repository of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from release.__main__ import main
from release.lock import read_lock
from tests.pages import ROOT

EPOCH = "1798714800"  # 2026-12-31T11:00:00Z
FILES = (".gitignore", "Dockerfile", "LICENSE", "README.md", "pyproject.toml")
DIRECTORIES = ("adapter", "hooks", "metacontroller", "release", "requirements", "sources_cli")
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{role}_{field}": "a@example.com" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")},
}


def run(tree: Path, *command: str, umask: int = 0o022, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=tree,
        env={**os.environ, **GIT, **environ},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )


def release(tree: Path, *arguments: str, umask: int = 0o022, **environ: str) -> subprocess.CompletedProcess[str]:
    return run(tree, sys.executable, "-m", "release", *arguments, umask=umask, **environ)


def commit(tree: Path) -> None:
    for command in (["add", "--all"], ["commit", "--quiet", "--allow-empty", "--message", "A commit"]):
        done = run(tree, "git", *command)
        assert done.returncode == 0, done.stderr


def copy_of_this_tree(to: Path) -> Path:
    """Without the directories in which other tests may write at the same time."""
    for name in DIRECTORIES:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, to / name)
    (to / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n- A kind.\n")
    assert run(to, "git", "init", "--quiet").returncode == 0
    commit(to)
    return to


def bytes_of(dist: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in dist.iterdir()}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree after ``make release VERSION=7.0.0``."""
    tree = copy_of_this_tree(tmp_path_factory.mktemp("release") / "tree")
    done = release(tree, "7.0.0", SOURCE_DATE_EPOCH=EPOCH)
    assert done.returncode == 0, done.stderr
    assert "git tag --annotate v7.0.0" in done.stdout
    for file in (tree / "dist").iterdir():
        assert f"written dist/{file.name}\n" in done.stdout
    return tree


def test_release_writes_the_version_and_the_heading_but_commits_nothing(released: Path) -> None:
    assert '__version__ = "7.0.0"' in (released / "adapter/__init__.py").read_text()
    heading = "## [Unreleased]\n\n## [7.0.0] - 2026-12-31\n\n- A kind.\n"
    assert (released / "CHANGELOG.md").read_text() == f"# Changelog\n\n{heading}"
    assert run(released, "git", "rev-list", "--count", "HEAD").stdout == "1\n"
    assert run(released, "git", "tag").stdout == ""


def test_release_has_packages_chart_manifests_sbom_and_checksums(released: Path) -> None:
    dist = released / "dist"
    assert bytes_of(dist).keys() == {
        "SHA256SUMS",
        "sample-source-7.0.0.cdx.json",
        "sample-source-otlp-7.0.0.cdx.json",
        "sample-source-chart-7.0.0.tgz",
        "sample-source-manifests-7.0.0.tar.gz",
        "sample_source-7.0.0-py3-none-any.whl",
        "sample_source-7.0.0.tar.gz",
    }
    sums = dict(line.split("  ")[::-1] for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert sums == {name: digest for name, digest in bytes_of(dist).items() if name != "SHA256SUMS"}
    assert run(dist, "sha256sum", "--check", "SHA256SUMS").returncode == 0
    for lock, name in {"runtime": "sample-source", "otlp": "sample-source-otlp"}.items():
        sbom = json.loads((dist / f"{name}-7.0.0.cdx.json").read_text())
        assert sbom["metadata"]["component"]["version"] == "7.0.0"
        assert sbom["metadata"]["timestamp"] == "2026-12-31T00:00:00+00:00"
        locked = read_lock(released / f"requirements/{lock}.lock")
        assert {one["name"] for one in sbom["components"]} == {package.name for package in locked}


def test_wheel_and_sdist_contain_the_code_of_the_version(released: Path) -> None:
    init = (released / "adapter/__init__.py").read_bytes()
    with zipfile.ZipFile(released / "dist/sample_source-7.0.0-py3-none-any.whl") as wheel:
        assert wheel.read("adapter/__init__.py") == init
        assert {name.partition("/")[0] for name in wheel.namelist()} == {
            "adapter",
            "hooks",
            "sources_cli",
            "sample_source-7.0.0.dist-info",
        }
    with tarfile.open(released / "dist/sample_source-7.0.0.tar.gz") as sdist:
        file = sdist.extractfile("sample_source-7.0.0/adapter/__init__.py")
        assert file is not None
        assert file.read() == init


def test_chart_has_the_version_and_all_its_files(released: Path) -> None:
    directory = released / "metacontroller/chart"
    files = {file.relative_to(directory).as_posix() for file in directory.rglob("*") if file.is_file()}
    with tarfile.open(released / "dist/sample-source-chart-7.0.0.tgz") as chart:
        assert set(chart.getnames()) == {f"sample-source/{file}" for file in files}
        description = yaml.safe_load(chart.extractfile("sample-source/Chart.yaml") or b"")
    assert (description["name"], description["version"], description["appVersion"]) == (
        "sample-source",
        "7.0.0",
        "7.0.0",
    )


def test_extracted_manifests_are_those_of_the_tree(released: Path, tmp_path: Path) -> None:
    with tarfile.open(released / "dist/sample-source-manifests-7.0.0.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    names = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*") if file.is_file()}
    for file in (released / "metacontroller/overlays").rglob("*.yaml"):
        name = file.relative_to(released).as_posix()
        assert (tmp_path / "sample-source-7.0.0" / name).read_bytes() == file.read_bytes()
    assert not [name for name in names if "/chart/" in name or name.endswith(".py")]


def test_tag_of_a_release_gives_the_same_bytes_elsewhere(released: Path, tmp_path: Path) -> None:
    """In a clone with other file times, modes and time zone, and without SOURCE_DATE_EPOCH."""
    commit(released)
    assert run(tmp_path, "git", "clone", "--quiet", str(released), "clone", umask=0o077).returncode == 0
    done = release(tmp_path / "clone", umask=0o077, TZ="Asia/Tokyo", SOURCE_DATE_EPOCH="")
    assert done.returncode == 0, done.stderr
    assert bytes_of(tmp_path / "clone/dist") == bytes_of(released / "dist")


def test_each_reason_to_refuse_a_release_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/__init__.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n")
    assert run(tmp_path, "git", "init", "--quiet").returncode == 0

    def refusal(*arguments: str, **environ: str) -> str:
        assert main(arguments, environ, tmp_path) == 1
        return capsys.readouterr().err

    assert "error: the tree has changes that are not committed; commit or stash them:\n?? " in refusal("1.2.0")
    commit(tmp_path)
    assert refusal("").startswith("error: VERSION= is not a version; write three numbers")
    assert refusal("v1").startswith("error: VERSION=v1 is not a version; write three numbers")
    assert refusal("1.2.0", "1.3.0").startswith("error: too many arguments")
    assert refusal("1.1.0").startswith("error: VERSION=1.1.0 is older than 1.2.0")
    assert refusal("1.2.0").startswith("error: CHANGELOG.md: `## [Unreleased]` has no entries")
    assert refusal("1.2.0", SOURCE_DATE_EPOCH="noon").startswith("error: SOURCE_DATE_EPOCH=noon is not a number")
    assert refusal().startswith("error: CHANGELOG.md has no heading `## [1.2.0] - DATE`")
    assert run(tmp_path, "git", "status", "--porcelain").stdout == ""

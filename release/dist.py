"""Builds the files of a release into ``dist/``. Two builds of one commit give the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path, PurePosixPath

from release.archives import checksums, tar_gz
from release.lock import PROJECT, read_lock
from release.problem import Problem
from release.sbom import image_python, sbom

CHART = "metacontroller/chart/"
SBOMS = {"runtime.lock": PROJECT, "otlp.lock": f"{PROJECT}-otlp"}  # lock file of an image -> name of its SBOM


def build(root: Path, version: str, date: datetime) -> list[Path]:
    """Replaces ``dist/`` below ``root``. ``date`` is the time of all files. Returns the new files."""
    dist = root / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    _build_packages(root, dist, date)
    tracked = {name: (root / name).read_bytes() for name in _tracked(root, "metacontroller")}
    chart = {f"{PROJECT}/{name.removeprefix(CHART)}": text for name, text in tracked.items() if name.startswith(CHART)}
    (dist / f"{PROJECT}-chart-{version}.tgz").write_bytes(tar_gz(chart, date))
    (dist / f"{PROJECT}-manifests-{version}.tar.gz").write_bytes(tar_gz(_manifests(tracked, version), date))
    python = image_python((root / "Dockerfile").read_text())
    for lock, name in SBOMS.items():
        text = sbom(read_lock(root / "requirements" / lock), version=version, date=date, python=python)
        (dist / f"{name}-{version}.cdx.json").write_text(text)
    (dist / "SHA256SUMS").write_text(checksums(dist))
    return sorted(dist.iterdir())


def _build_packages(root: Path, dist: Path, date: datetime) -> None:
    """The wheel and the sdist. hatchling takes the time of all files from SOURCE_DATE_EPOCH."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(int(date.timestamp()))}
    run(root, sys.executable, "-m", "hatchling", "build", "--directory", str(dist), environ=environ)


def _manifests(tracked: dict[str, bytes], version: str) -> dict[str, bytes]:
    """What ``kubectl apply -k`` and ``-f`` read: YAML and JSON outside the chart, in a directory with the version."""
    return {
        f"{PROJECT}-{version}/{name}": text
        for name, text in tracked.items()
        if PurePosixPath(name).suffix in (".yaml", ".json") and not name.startswith(CHART)
    }


def _tracked(root: Path, directory: str) -> list[str]:
    return run(root, "git", "ls-files", "-z", directory).split("\0")[:-1]


def run(root: Path, *command: str, environ: dict[str, str] | None = None) -> str:
    """The output of ``command``. Its error output is the text of the :class:`Problem` if it fails."""
    done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.strip()}")
    return done.stdout

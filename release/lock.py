"""Reads a lock file of ``requirements/``: each package, its version, its marker, its hashes, and what needs it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

from release.problem import Problem

PROJECT = "sample-source"
_REQUIREMENT = re.compile(r"(?P<name>[a-z0-9-]+)==(?P<version>\S+?)(?: ; (?P<marker>.+?))? \\")
_HASH = re.compile(r"    --hash=sha256:(?P<hash>[0-9a-f]{64})(?: \\)?")
_NEEDED_BY = re.compile(r"    #(?: via)?(?:   | )?(?P<name>[a-z0-9-]*)(?: \(pyproject\.toml(?::\w+)?\))?")


@dataclass(frozen=True)
class Locked:
    """A package of a lock file.

    ``hashes`` are the SHA-256 of all files of this version that pip may install: the sdist, and a wheel per platform.
    ``needed_by`` are names of packages, and ``sample-source`` for a dependency of this project.
    """

    name: str
    version: str
    marker: str | None
    hashes: tuple[str, ...]
    needed_by: tuple[str, ...]

    def is_installed_on_linux(self, python: str) -> bool:
        """Whether pip installs the package into an image with this CPython, for example ``3.13``."""
        environment = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
        versions = {"python_version": python, "python_full_version": f"{python}.99", "implementation_name": "cpython"}
        return self.marker is None or Marker(self.marker).evaluate(environment | versions)


def read_lock(file: Path) -> list[Locked]:
    """The packages in the order of the file. The format is that of ``uv pip compile --generate-hashes``."""
    blocks: list[list[str]] = []
    for line in file.read_text().splitlines():
        if not line.startswith((" ", "#")):
            blocks.append([])
        if blocks:
            blocks[-1].append(line)
    return [_locked(file, block) for block in blocks]


def _locked(file: Path, block: Sequence[str]) -> Locked:
    requirement = _REQUIREMENT.fullmatch(block[0])
    rest = [_HASH.fullmatch(line) or _NEEDED_BY.fullmatch(line) for line in block[1:]]
    if not requirement or not all(rest):
        wrong = next((line for line, match in zip(block[1:], rest, strict=True) if not match), block[0])
        raise Problem(f"{file}: `{wrong}` is not a line that make lock writes; run make lock")
    found = [match.groupdict() for match in rest if match]
    return Locked(
        **requirement.groupdict(),
        hashes=tuple(groups["hash"] for groups in found if "hash" in groups),
        needed_by=tuple(groups["name"] for groups in found if groups.get("name")),
    )

"""Images contain only packages with licences that this project may distribute."""

from __future__ import annotations

import pytest

from release.licences import ALLOWED, REVIEWED, is_allowed, licence_in_metadata, licence_of
from release.lock import Locked, read_lock
from release.problem import Problem
from tests.pages import ROOT

PACKAGES = {
    (package.name, package.version): package
    for name in ("runtime", "otlp")
    for package in read_lock(ROOT / f"requirements/{name}.lock")
}


@pytest.mark.parametrize("package", PACKAGES.values(), ids=lambda package: package.name)
def test_licence_of_each_package_is_allowed(package: Locked) -> None:
    licence = licence_of(package)
    assert is_allowed(licence), f"{package.name}: {licence} is not in ALLOWED of release/licences.py"


def test_each_allowed_licence_is_one_that_a_package_has() -> None:
    used = " ".join(map(licence_of, PACKAGES.values())).split()
    assert ALLOWED.keys() - used == set()


@pytest.mark.parametrize("row", REVIEWED, ids=lambda row: row[0])
def test_each_reviewed_package_is_locked_and_its_metadata_is_unclear(row: tuple[str, str]) -> None:
    assert row in PACKAGES, f"remove {row} from REVIEWED in release/licences.py: no lock file of the images has it"
    assert licence_in_metadata(PACKAGES[row]) is None, f"remove {row} from REVIEWED: its metadata is clear"


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("(MIT OR GPL-2.0-only) AND BSD-3-Clause", True),
        ("Apache-2.0 WITH LLVM-exception", False),
    ],
)
def test_expression_is_allowed_if_its_choices_leave_only_allowed_licences(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


@pytest.mark.parametrize("name", ["cronsim", "fastapi", "no-such-package"])
def test_version_without_a_known_licence_is_named(name: str) -> None:
    package = Locked(name, "0.0.1", None, (), ())
    with pytest.raises(Problem, match=rf"{name} 0\.0\.1 is not installed, or .*; read its licence file and add"):
        licence_of(package)

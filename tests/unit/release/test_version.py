"""Versions and the sections of the changelog."""

from __future__ import annotations

from datetime import date

import pytest

from release.problem import Problem
from release.version import check_is_newer, parsed, released, with_release, with_version, written_version
from tests.pages import ROOT

DAY = date(2026, 11, 28)
INIT = '"""A docstring."""\n\n__version__ = "1.2.0"\n'
FIRST = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A kind.\n"
SECOND = FIRST + "\n## [1.2.0] - 2026-10-01\n\n- An older one.\n"


@pytest.mark.parametrize("version", ["", "1", "1.2", "v1.2.3", "1.2.3.4", "1.02.3", "1.2.3-rc1", "1.2.x", "1.2.3\n"])
def test_version_has_three_numbers(version: str) -> None:
    with pytest.raises(Problem, match=r"is not a version; write three numbers, for example VERSION=1\.4\.0"):
        parsed(version)


@pytest.mark.parametrize(
    ("version", "changelog", "problem"),
    [
        ("1.1.9", FIRST, r"VERSION=1\.1\.9 is older than 1\.2\.0, the version in adapter/__init__\.py"),
        ("1.2.0", SECOND, r"VERSION=1\.2\.0 is not newer than 1\.2\.0, the newest version in CHANGELOG\.md"),
        ("1.1.0", SECOND, r"VERSION=1\.1\.0 is not newer than 1\.2\.0"),
    ],
)
def test_version_that_is_not_newer_is_refused(version: str, changelog: str, problem: str) -> None:
    with pytest.raises(Problem, match=problem):
        check_is_newer(version, init=INIT, changelog=changelog)


@pytest.mark.parametrize(("version", "changelog"), [("1.2.0", FIRST), ("1.2.1", SECOND), ("1.10.0", SECOND)])
def test_newer_version_and_the_first_release_are_accepted(version: str, changelog: str) -> None:
    check_is_newer(version, init=INIT, changelog=changelog)


def test_version_is_written_into_the_code() -> None:
    assert with_version(INIT, "1.3.0") == INIT.replace("1.2.0", "1.3.0")
    assert written_version(with_version((ROOT / "adapter/__init__.py").read_text(), "9.8.7")) == "9.8.7"


def test_entries_move_below_a_heading_with_the_date() -> None:
    changelog = with_release(SECOND, "1.3.0", DAY)
    heading = "## [Unreleased]\n\n## [1.3.0] - 2026-11-28\n"
    assert changelog == SECOND.replace("## [Unreleased]\n", heading)
    assert released(changelog) == {"1.3.0": DAY, "1.2.0": date(2026, 10, 1)}


@pytest.mark.parametrize(
    ("changelog", "problem"),
    [
        ("# Changelog\n", r"CHANGELOG\.md has no heading `## \[Unreleased\]`; add it"),
        (
            "## [Unreleased]\n\n### Added\n\n## [1.2.0] - 2026-10-01\n\n- An entry.\n",
            r"`## \[Unreleased\]` has no entries",
        ),
        (with_release(FIRST, "1.2.0", DAY), r"`## \[Unreleased\]` has no entries"),
    ],
)
def test_changelog_without_entries_is_refused(changelog: str, problem: str) -> None:
    with pytest.raises(Problem, match=problem):
        with_release(changelog, "1.3.0", DAY)

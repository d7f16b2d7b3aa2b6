"""The version in ``adapter/__init__.py`` and the sections of ``CHANGELOG.md``: reads and changes their texts."""

from __future__ import annotations

import re
from datetime import date

from release.problem import Problem

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_ASSIGNED = re.compile(r'^__version__ = "(.+)"$', re.MULTILINE)
_RELEASED = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", re.MULTILINE)
_UNRELEASED = "## [Unreleased]\n"


def parsed(version: str) -> tuple[int, ...]:
    match = _VERSION.fullmatch(version)
    if not match:
        raise Problem(f"VERSION={version} is not a version; write three numbers, for example VERSION=1.4.0")
    return tuple(map(int, match.groups()))


def written_version(init: str) -> str:
    """``init`` is the text of ``adapter/__init__.py``."""
    match = _ASSIGNED.search(init)
    if not match:
        raise Problem('adapter/__init__.py has no line __version__ = "…"')
    return match[1]


def with_version(init: str, version: str) -> str:
    return _ASSIGNED.sub(f'__version__ = "{version}"', init)


def released(changelog: str) -> dict[str, date]:
    """The versions that have a heading with a date."""
    return {version: date.fromisoformat(day) for version, day in _RELEASED.findall(changelog)}


def check_is_newer(version: str, *, init: str, changelog: str) -> None:
    """The written version may be released if the changelog has no heading for it: that is the first release."""
    written = written_version(init)
    newest = max(released(changelog), key=parsed, default=None)
    if newest and parsed(version) <= parsed(newest):
        raise Problem(f"VERSION={version} is not newer than {newest}, the newest version in CHANGELOG.md")
    if parsed(version) < parsed(written):
        raise Problem(f"VERSION={version} is older than {written}, the version in adapter/__init__.py")


def with_release(changelog: str, version: str, day: date) -> str:
    """Moves the entries below ``[Unreleased]`` to a new heading of ``version``."""
    before, found, after = changelog.partition(_UNRELEASED)
    if not found:
        raise Problem(
            "CHANGELOG.md has no heading `## [Unreleased]`; add it, with the changes of this release below it"
        )
    entries = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0]
    if not re.search(r"^- \S", entries, re.MULTILINE):
        raise Problem("CHANGELOG.md: `## [Unreleased]` has no entries; list the changes, each in a line with `- `")
    return f"{before}{_UNRELEASED}\n## [{version}] - {day.isoformat()}\n{after}"

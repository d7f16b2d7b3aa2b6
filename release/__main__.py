"""``make release VERSION=1.4.0`` and ``make dist``. Nothing is committed, tagged, pushed or uploaded.

With a version: writes it, its heading in the changelog and the generated manifests, then builds ``dist/``. Without one:
builds ``dist/`` of the release that is checked out, with the same bytes. Exit code 1: the text says what to fix.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

from release.dist import build, run
from release.problem import Problem
from release.version import check_is_newer, parsed, released, with_release, with_version, written_version

INIT, CHANGELOG = "adapter/__init__.py", "CHANGELOG.md"
NEXT = """
Next:
  git commit --all --message 'Release {version}'
  git tag --annotate v{version} --message v{version}
  Build and push the image by the digest of its base, then publish dist/: docs/release.md
"""


def main(arguments: Sequence[str], environ: Mapping[str, str], root: Path) -> int:
    """``root`` is the checkout."""
    try:
        match arguments:
            case []:
                build_again(root)
            case [version]:
                release(root, version, today(environ))
                print(NEXT.format(version=version), end="")
            case _:
                raise Problem("too many arguments; usage: python -m release [VERSION]")
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


def release(root: Path, version: str, day: date) -> None:
    parsed(version)
    check_tree_is_clean(root)
    init, changelog = (root / INIT).read_text(), (root / CHANGELOG).read_text()
    check_is_newer(version, init=init, changelog=changelog)
    new_changelog = with_release(changelog, version, day)
    (root / INIT).write_text(with_version(init, version))
    (root / CHANGELOG).write_text(new_changelog)
    run(root, sys.executable, "-m", "metacontroller.generate")
    for file in run(root, "git", "diff", "--name-only").splitlines():
        print(f"changed {file}")
    show(root, version, day)


def build_again(root: Path) -> None:
    check_tree_is_clean(root)
    version = written_version((root / INIT).read_text())
    days = released((root / CHANGELOG).read_text())
    if version not in days:
        raise Problem(f"CHANGELOG.md has no heading `## [{version}] - DATE`; check out the tag of a release")
    show(root, version, days[version])


def show(root: Path, version: str, day: date) -> None:
    for file in build(root, version, datetime.combine(day, time(), UTC)):
        print(f"written {file.relative_to(root)}")


def check_tree_is_clean(root: Path) -> None:
    """So the files of the release are those of a commit."""
    changes = run(root, "git", "status", "--porcelain").rstrip()
    if changes:
        raise Problem(f"the tree has changes that are not committed; commit or stash them:\n{changes}")


def today(environ: Mapping[str, str]) -> date:
    """The UTC date of SOURCE_DATE_EPOCH (seconds since 1970) if it is set, as for other build tools."""
    epoch = environ.get("SOURCE_DATE_EPOCH")
    try:
        return (datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)).date()
    except (ValueError, OverflowError, OSError):
        raise Problem(f"SOURCE_DATE_EPOCH={epoch} is not a number of seconds since 1970") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, Path(__file__).parents[1]))

"""Lock files as data."""

from __future__ import annotations

from pathlib import Path

import pytest

from release.lock import Locked, read_lock
from release.problem import Problem
from tests.pages import ROOT

HASH = "0" * 64


@pytest.mark.parametrize("name", ["runtime", "otlp", "dev"])
def test_every_package_of_each_lock_file_is_read_with_its_hashes(name: str) -> None:
    text = (ROOT / f"requirements/{name}.lock").read_text()
    packages = read_lock(ROOT / f"requirements/{name}.lock")
    assert [f"{package.name}=={package.version}" for package in packages] == [
        line.split()[0] for line in text.splitlines() if "==" in line and not line.startswith(" ")
    ]
    assert sum(len(package.hashes) for package in packages) == text.count("--hash=sha256:")
    assert all(package.hashes and package.needed_by for package in packages)


def test_package_has_its_marker_and_the_names_of_what_needs_it(tmp_path: Path) -> None:
    file = tmp_path / "one.lock"
    file.write_text(
        "# a comment\n"
        f"a==1.0 ; sys_platform == 'win32' \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{HASH}\n    # via b\n"
        f"b==2.0.post1 \\\n    --hash=sha256:{HASH}\n    # via\n    #   sample-source (pyproject.toml)\n    #   c-d\n"
    )
    assert read_lock(file) == [
        Locked("a", "1.0", "sys_platform == 'win32'", (HASH, HASH), ("b",)),
        Locked("b", "2.0.post1", None, (HASH,), ("sample-source", "c-d")),
    ]


@pytest.mark.parametrize("text", ["a>=1\n", f"a==1 \\\n    --hash=md5:{HASH}\n", "a==1 \\\n    -r other.txt\n"])
def test_line_that_uv_does_not_write_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "one.lock"
    file.write_text(text)
    with pytest.raises(Problem, match=r"one\.lock: `.*` is not a line that make lock writes; run make lock"):
        read_lock(file)


@pytest.mark.parametrize(
    ("marker", "installed"),
    [
        (None, True),
        ("sys_platform != 'emscripten'", True),
        ("sys_platform == 'emscripten'", False),
        ("python_full_version < '3.11.3'", False),
        ("python_version >= '3.13'", True),
    ],
)
def test_marker_decides_whether_linux_has_the_package(marker: str | None, installed: bool) -> None:
    assert Locked("a", "1", marker, (HASH,), ()).is_installed_on_linux("3.13") is installed

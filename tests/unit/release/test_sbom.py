"""The SBOM lists exactly the packages of the lock file of the image."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from release.lock import read_lock
from release.problem import Problem
from release.sbom import image_python, sbom
from tests.pages import ROOT

LOCKED = read_lock(ROOT / "requirements/runtime.lock")
DATE = datetime(2026, 11, 28, tzinfo=UTC)


def text(*, version: str = "1.4.0", date: datetime = DATE) -> str:
    return sbom(LOCKED, version=version, date=date, python="3.13")


SBOM: dict[str, Any] = json.loads(text())
COMPONENTS = {component["name"]: component for component in SBOM["components"]}


def test_sbom_fits_the_schema_of_cyclonedx() -> None:
    # Here, because the import takes seconds, and each process of the tests reads this file.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text()) is None


def test_sbom_lists_each_package_of_the_lock_file_and_nothing_else() -> None:
    assert len(SBOM["components"]) == len(LOCKED)
    for package in LOCKED:
        component = COMPONENTS[package.name]
        assert (component["version"], component["purl"]) == (
            package.version,
            f"pkg:pypi/{package.name}@{package.version}",
        )
        assert [one["content"] for one in component["hashes"]] == sorted(package.hashes)
        assert {one["alg"] for one in component["hashes"]} == {"SHA-256"}
        assert list(component["licenses"][0]) == ["expression"]


def test_sbom_names_the_project_and_its_direct_dependencies() -> None:
    project = SBOM["metadata"]["component"]
    assert (project["name"], project["version"]) == ("sample-source", "1.4.0")
    [edges] = [edge["dependsOn"] for edge in SBOM["dependencies"] if edge["ref"] == project["bom-ref"]]
    direct = {COMPONENTS[package.name]["bom-ref"] for package in LOCKED if "sample-source" in package.needed_by}
    assert set(edges) == direct


def test_every_package_is_reached_from_the_project() -> None:
    edges = {edge["ref"]: edge.get("dependsOn", []) for edge in SBOM["dependencies"]}
    reached, new = set(), {SBOM["metadata"]["component"]["bom-ref"]}
    while new:
        reached |= new
        new = {needed for ref in new for needed in edges[ref]} - reached
    assert reached == edges.keys()
    assert len(reached) == len(LOCKED) + 1


def test_packages_that_the_image_does_not_install_are_excluded_with_their_marker() -> None:
    excluded = {name for name, component in COMPONENTS.items() if component["scope"] == "excluded"}
    assert excluded == {package.name for package in LOCKED if not package.is_installed_on_linux("3.13")}
    marked = {
        name: component["properties"][0]["value"] for name, component in COMPONENTS.items() if "properties" in component
    }
    assert marked == {package.name: package.marker for package in LOCKED if package.marker}


def test_equal_input_gives_equal_bytes_and_other_input_another_serial_number() -> None:
    assert text() == text()
    texts = [text(), text(version="1.4.1"), text(date=datetime(2026, 11, 29, tzinfo=UTC))]
    assert len({json.loads(one)["serialNumber"] for one in texts}) == 3


def test_version_of_python_is_that_of_the_base_image() -> None:
    assert image_python((ROOT / "Dockerfile").read_text()) == "3.13"
    with pytest.raises(Problem, match="the SBOM needs the version of Python"):
        image_python("ARG BASE=debian\n")

"""The SBOM in CycloneDX 1.6 JSON: the Python packages of an image, as its lock file lists them.

It does not list Debian and CPython, which come from the base image. The text depends only on the lock file, the version
and the date: the serial number is a hash of the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from release.licences import licence_of
from release.lock import PROJECT, Locked
from release.problem import Problem

LICENCE = "Apache-2.0"


def sbom(packages: Sequence[Locked], *, version: str, date: datetime, python: str) -> str:
    """``python`` is the version of CPython in the image, for example ``3.13``. It decides which markers are true."""
    project = Component(
        name=PROJECT,
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref=PROJECT,
        purl=PackageURL("generic", name=PROJECT, version=version),
        licenses=[LicenseExpression(LICENCE)],
    )
    components = {package.name: _component(package, python) for package in packages}
    metadata = BomMetaData(component=project, timestamp=date)
    bom = Bom(metadata=metadata, components=components.values(), serial_number=UUID(int=0))
    for name, component in {PROJECT: project, **components}.items():
        bom.register_dependency(component, [components[p.name] for p in packages if name in p.needed_by])
    bom.serial_number = uuid5(NAMESPACE_URL, JsonV1Dot6(bom).output_as_string())
    return f"{JsonV1Dot6(bom).output_as_string(indent=2)}\n"


def image_python(dockerfile: str) -> str:
    """The version of CPython in the base image: ``3.13`` of ``ARG BASE=python:3.13-slim``."""
    match = re.search(r"^ARG BASE=python:(\d+\.\d+)-slim$", dockerfile, re.MULTILINE)
    if not match:
        raise Problem("Dockerfile has no line like `ARG BASE=python:3.13-slim`; the SBOM needs the version of Python")
    return match[1]


def _component(package: Locked, python: str) -> Component:
    purl = PackageURL("pypi", name=package.name, version=package.version)
    installed = package.is_installed_on_linux(python)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        scope=ComponentScope.REQUIRED if installed else ComponentScope.EXCLUDED,
        bom_ref=str(purl),
        purl=purl,
        licenses=[LicenseExpression(licence_of(package))],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in package.hashes],
        properties=[Property(name=f"{PROJECT}:marker", value=package.marker)] if package.marker else [],
    )

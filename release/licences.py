"""The licence of each package, as an SPDX expression, and which licences an image of this project may contain."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, metadata

from license_expression import get_spdx_licensing

from release.lock import Locked
from release.problem import Problem

# Each of them allows distribution in an Apache-2.0 image without other terms than keeping its text and notices, which
# pip installs with the package. Licences that ask for the source of a larger work (GPL, AGPL, SSPL) are not here.
ALLOWED = {
    "Apache-2.0": "permissive, the licence of this project",
    "BSD-2-Clause": "permissive",
    "BSD-3-Clause": "permissive",
    "MIT": "permissive",
    "MPL-2.0": "weak copyleft: asks only for the source of its own files, which the image contains unchanged",
    "PSF-2.0": "permissive, the licence of CPython",
}

# Read by a person in the licence file of the package, because its metadata has no SPDX expression, or because it is
# not installed on a developer's machine. The version is the one that was read: read it again after an upgrade.
REVIEWED = {
    ("async-timeout", "5.0.1"): "Apache-2.0",  # only for Python before 3.11.3
    ("cronsim", "2.8"): "BSD-3-Clause",  # metadata: "BSD License"
    ("deprecation", "2.1.0"): "Apache-2.0",  # metadata: "Apache 2"
    ("httpx2-jsfetch", "1.0"): "BSD-3-Clause",  # only for Emscripten
    ("protobuf", "7.36.2"): "BSD-3-Clause",  # metadata: "3-Clause BSD License"
}

_SPDX = get_spdx_licensing()


def licence_of(package: Locked) -> str:
    """Raises :class:`Problem` if neither the metadata of the installed package nor the table has an SPDX expression."""
    found = REVIEWED.get((package.name, package.version)) or licence_in_metadata(package)
    if found is None:
        raise Problem(
            f"{package.name} {package.version} is not installed, or its metadata has no SPDX expression; "
            "read its licence file and add the package to REVIEWED in release/licences.py"
        )
    return found


def licence_in_metadata(package: Locked) -> str | None:
    """``License-Expression``, or ``License`` if that is an SPDX expression, too. None if this version is not installed.

    Classifiers are not read: "BSD License" is several licences.
    """
    try:
        fields = metadata(package.name)
    except PackageNotFoundError:
        return None
    if fields["Version"] != package.version:
        return None
    written = [str(fields[field]) for field in ("License-Expression", "License") if field in fields]
    return next((text for text in written if not _SPDX.validate(text).errors), None)


def is_allowed(expression: str) -> bool:
    """``A OR B`` needs one allowed licence, ``A AND B`` needs all."""
    parsed = _SPDX.parse(expression, validate=True)
    truth = {symbol: _SPDX.TRUE if str(symbol) in ALLOWED else _SPDX.FALSE for symbol in parsed.symbols}
    return bool(parsed.subs(truth, simplify=True) == _SPDX.TRUE)

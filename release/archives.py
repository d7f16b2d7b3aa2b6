"""Archives and checksums whose bytes depend only on the names and contents of the files, and on the date."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path


def tar_gz(files: Mapping[str, bytes], date: datetime) -> bytes:
    """A .tar.gz with the files by their paths, sorted. All have the mode 0644, no owner, and the time of ``date``."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=int(date.timestamp())) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(files[name]), int(date.timestamp())
            archive.addfile(entry, io.BytesIO(files[name]))
    return buffer.getvalue()


def checksums(directory: Path) -> str:
    """The files of ``directory`` in the format of ``sha256sum --check``."""
    files = sorted(file for file in directory.iterdir() if file.is_file())
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)

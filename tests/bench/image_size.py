"""What an image is made of: ``image_size.py ARCHIVE``, a tar file as ``docker save`` or ``buildah push`` writes it.

Prints each layer with its size, uncompressed and with gzip as registries send it, and the parts of the image.
The image of this project has one layer, so the parts tell more. A file that a later layer replaces counts twice.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

MIB = 1024 * 1024
SMALL_MIB = 0.3  # smaller packages are one line
CHUNK = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    path = parser.parse_args().archive
    if not path.is_file() or not tarfile.is_tarfile(path):
        raise SystemExit(f'ARCHIVE is "{path}", not a tar file; write one with: docker save NAME -o FILE')
    with tarfile.open(path) as archive:
        parts: Counter[str] = Counter()
        for n, layer in enumerate(layers(archive), 1):
            raw, compressed = sizes(opened(archive, layer))
            print(f"layer {n}: {raw / MIB:6.1f} MiB, {compressed / MIB:5.1f} MiB compressed")
            with tarfile.open(fileobj=opened(archive, layer), mode="r|*") as files:
                for part, size in measured(files):
                    parts[part] += size
    print(f"files: {sum(parts.values()) / MIB:.1f} MiB")
    for part, size in grouped(parts).most_common():
        print(f"{size / MIB:8.1f} MiB  {part}")


def layers(archive: tarfile.TarFile) -> Iterator[str]:
    """The names of the files with the layers, the lowest first. ``SystemExit`` if the archive has not one image."""
    names = set(archive.getnames())
    if "manifest.json" not in names:
        raise SystemExit("manifest.json is missing; write the archive with: buildah push NAME docker-archive:FILE:NAME")
    manifest = read_json(archive, "manifest.json")
    if len(manifest) != 1:
        raise SystemExit(f"the archive has {len(manifest)} images; write one")
    yield from manifest[0]["Layers"]


def read_json(archive: tarfile.TarFile, name: str) -> Any:
    return json.load(opened(archive, name))


def opened(archive: tarfile.TarFile, name: str) -> IO[bytes] | gzip.GzipFile:
    """The content without gzip."""
    file = archive.extractfile(name)
    assert file
    is_gzip = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return gzip.open(file) if is_gzip else file


def sizes(file: IO[bytes] | gzip.GzipFile) -> tuple[int, int]:
    """Bytes of the content, and of the content with gzip."""
    raw, compressed, packer = 0, 0, zlib.compressobj(6)
    while chunk := file.read(CHUNK):
        raw += len(chunk)
        compressed += len(packer.compress(chunk))
    return raw, compressed + len(packer.flush())


def measured(files: tarfile.TarFile) -> Iterator[tuple[str, int]]:
    """The part that each file belongs to, and its size. A hard link has no size of its own."""
    for file in files:
        if file.isfile():
            yield part_of(PurePosixPath("/", file.name)), file.size


def part_of(path: PurePosixPath) -> str:
    if path.is_relative_to("/app/lib"):
        package = path.relative_to("/app/lib").parts[0].partition(".")[0]
        return f"/app/lib/{package.partition('-')[0]}"
    if path.is_relative_to("/app"):
        return f"/app/{path.relative_to('/app').parts[0]}"
    if any(word.startswith(("python3", "libpython3")) for word in path.parts):
        return "Python and its standard library"
    return "operating system"


def grouped(parts: Counter[str]) -> Counter[str]:
    """Small packages are one part."""
    found: Counter[str] = Counter()
    for part, size in parts.items():
        is_small = part.startswith("/app/lib/") and size < SMALL_MIB * MIB
        found["/app/lib, the other packages" if is_small else part] += size
    return found


if __name__ == "__main__":
    main()

"""Whom a client trusts: the system's authorities, certificates of its own, and mounted bundles, which change."""

from __future__ import annotations

import ssl
from pathlib import Path

Stamp = tuple[tuple[str, int, int], ...]


def tls_context() -> ssl.SSLContext:
    """With the system's authorities."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def trusting_nobody() -> ssl.SSLContext:
    """For URLs without https: loading the system's authorities costs megabytes."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trust(context: ssl.SSLContext, pem: str) -> None:
    """``ssl.SSLError`` if there is no certificate in it."""
    context.load_verify_locations(cadata=pem.encode("ascii", "replace").decode())  # comments may hold anything


def add_bundles(context: ssl.SSLContext, directory: Path | None) -> None:
    """``ssl.SSLError`` names the file that cannot be read: who broke it may have stopped trusting what it held."""
    for file in _files(directory):
        try:
            trust(context, file.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ssl.SSLError) as error:
            raise ssl.SSLError(f"{file} holds no PEM certificates: {error.strerror or error}") from None


def stamp_of(directory: Path | None) -> Stamp:
    """Another one once a file has changed."""
    stats = [(it.name, it.stat()) for it in _files(directory)]
    return tuple((name, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)


def _files(directory: Path | None) -> list[Path]:
    """The kubelet's ``..data`` is no file of ours."""
    if directory is None or not directory.is_dir():
        return []
    return [it for it in sorted(directory.iterdir()) if not it.name.startswith(".") and it.is_file()]

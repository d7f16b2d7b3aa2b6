"""The CAs that a client trusts: those of the system, given certificates, and mounted bundles, which may change.

And its own certificate, which a server may demand.
"""

from __future__ import annotations

import ssl
from pathlib import Path

Fingerprint = tuple[tuple[str, int, int], ...]


class ClientCertificateError(ssl.SSLError):
    """The client certificate cannot be used. The text names the files and shows nothing of them."""

    def __str__(self) -> str:
        return str(self.args[0])


def tls_context() -> ssl.SSLContext:
    """A context that trusts the CAs of the system."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def empty_context() -> ssl.SSLContext:
    """A context without CAs, for URLs without https: the CAs of the system take megabytes of memory."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trust(context: ssl.SSLContext, pem: str) -> None:
    """Add the certificates in ``pem``. Raises ``ssl.SSLError`` if there is none."""
    context.load_verify_locations(cadata=pem.encode("ascii", "replace").decode())  # comments in it may not be ASCII


def add_bundles(context: ssl.SSLContext, directory: Path | None) -> None:
    """Add the certificates of all files in ``directory``. Raises ``ssl.SSLError`` with the name of an invalid file.

    An invalid file is not skipped, because a certificate may have been removed from it on purpose.
    """
    for file in _files(directory):
        try:
            trust(context, file.read_text(encoding="utf-8", errors="replace"))
        except (OSError, ssl.SSLError) as error:
            raise ssl.SSLError(f"{file} holds no PEM certificates: {error.strerror or error}") from None


def add_client_certificate(context: ssl.SSLContext, directory: Path | None) -> None:
    """Present ``tls.crt`` with ``tls.key``, and trust ``ca.crt`` if there is one. Raises ``ClientCertificateError``."""
    if directory is None:
        return
    certificate, key, authority = (directory / name for name in ("tls.crt", "tls.key", "ca.crt"))
    try:
        for file in (certificate, key):
            file.read_bytes()  # OpenSSL does not tell which file is missing
        context.load_cert_chain(certificate, key, password="")  # without one, OpenSSL would ask on the terminal
    except ssl.SSLError as error:
        cause = (error.reason or "invalid PEM").lower().replace("_", " ")
        problem = f"{certificate} and tls.key are not a PEM certificate with its key: {cause}"
        raise ClientCertificateError(f"client certificate: {problem}") from None
    except OSError as error:
        raise ClientCertificateError(f"client certificate: {error.filename}: {error.strerror}") from None
    try:
        text = authority.read_text(encoding="utf-8", errors="replace") if authority.exists() else ""
        if text.strip():  # some issuers leave it empty
            trust(context, text)
    except OSError as error:
        raise ClientCertificateError(f"client certificate: {authority}: {error.strerror or error}") from None


def fingerprint_of(*directories: Path | None) -> Fingerprint:
    """A value that changes when a file in one of ``directories`` is added, removed or changed."""
    stats = [(file.name, file.stat()) for directory in directories for file in _files(directory)]
    return tuple((name, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)


def _files(directory: Path | None) -> list[Path]:
    """The files in ``directory``, without the kubelet's ``..data`` and ``..<timestamp>`` directories."""
    if directory is None or not directory.is_dir():
        return []
    return [path for path in sorted(directory.iterdir()) if not path.name.startswith(".") and path.is_file()]

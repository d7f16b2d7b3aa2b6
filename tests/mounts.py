"""Certificates for tests, and directories that the kubelet mounts them into."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


def mount(directory: Path, files: dict[str, bytes]) -> None:
    """Mount the files as the kubelet does: it writes a new directory and then swaps the link ``..data``."""
    directory.mkdir(exist_ok=True)
    version = directory / f"..{len(list(directory.glob('..*')))}"
    version.mkdir()
    for name, content in files.items():
        (version / name).write_bytes(content)
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(Path("..data", name))
    (directory / "..new").symlink_to(version.name)
    (directory / "..new").replace(directory / "..data")
    for link in directory.iterdir():
        if not link.name.startswith(".") and not link.exists():
            link.unlink()


def client_pair(authority: trustme.CA) -> dict[str, bytes]:
    """The files of a Secret of type kubernetes.io/tls: a client certificate of ``authority``."""
    issued = authority.issue_cert("client.example.com")
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
    return {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes()}


def server_context(servers: trustme.CA, clients: trustme.CA, host: str = "127.0.0.1") -> ssl.SSLContext:
    """Of a server that refuses clients without a certificate of ``clients``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    servers.issue_cert(host).configure_cert(context)
    clients.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context

"""The client certificate of a channel: how it is presented and renewed, and what happens while it cannot be used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from adapter.cloudevents.encode import Message
from adapter.contract.declarations import EnvError
from adapter.delivery.attempt import Disposition
from adapter.delivery.channel import Channel, Destination
from adapter.net.credentials import Credentials
from adapter.testing.clock import VirtualClock
from tests.mounts import client_pair, mount, server_context
from tests.unit.adapter.delivery.loopback import ACCEPTED, Answer, Loopback

MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, b"data")


class Setup:
    """A sink that demands a client certificate, and a channel with the certificate in ``directory``."""

    def __init__(self, directory: Path, *answers: Answer) -> None:
        self.servers, self.clients, self.directory = trustme.CA(), trustme.CA(), directory
        self.sink = Loopback(*answers, context=server_context(self.servers, self.clients))

    @property
    def valid(self) -> dict[str, bytes]:
        return {**client_pair(self.clients), "ca.crt": self.servers.cert_pem.bytes()}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Channel]:
        destination = Destination(self.sink.url, credentials=Credentials(client_certificate=self.directory))
        async with self.sink.running(), contextlib.aclosing(Channel(destination, 10, VirtualClock())) as channel:
            yield channel


def test_certificate_is_presented_and_its_authority_is_trusted(tmp_path: Path) -> None:
    async def test() -> None:
        setup = Setup(tmp_path)
        mount(tmp_path, setup.valid)
        async with setup.running() as channel:
            assert [(await channel.post(MESSAGE)).code for _ in range(2)] == ["202", "202"]
        assert setup.sink.connections == [2]

    asyncio.run(test())


def test_empty_authority_is_ignored(tmp_path: Path) -> None:
    async def test() -> None:
        setup = Setup(tmp_path)
        mount(tmp_path, {**setup.valid, "ca.crt": b"\n"})
        async with setup.running() as channel:
            assert "certificate verify failed" in (await channel.post(MESSAGE)).reason

    asyncio.run(test())


def test_rotated_certificate_takes_effect_at_the_next_attempt(tmp_path: Path) -> None:
    async def test() -> None:
        setup = Setup(tmp_path)
        mount(tmp_path, setup.valid)
        async with setup.running() as channel:
            assert (await channel.post(MESSAGE)).code == "202"
            mount(tmp_path, {**setup.valid, **client_pair(trustme.CA())})
            refused = await channel.post(MESSAGE)
            assert (refused.disposition, refused.code) == (Disposition.RETRY, "transport")
            mount(tmp_path, setup.valid)
            assert (await channel.post(MESSAGE)).code == "202"

    asyncio.run(test())


def test_request_in_flight_keeps_its_connection_when_the_certificate_rotates(tmp_path: Path) -> None:
    arrived, rotated = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await rotated.wait()
        writer.write(ACCEPTED)

    async def test() -> None:
        setup = Setup(tmp_path, slow)
        mount(tmp_path, setup.valid)
        async with setup.running() as channel:
            first = asyncio.create_task(channel.post(MESSAGE))
            await arrived.wait()
            mount(tmp_path, setup.valid)
            assert (await channel.post(MESSAGE)).code == "202"
            rotated.set()
            assert (await first).code == "202"
        assert setup.sink.connections == [1, 1]

    asyncio.run(test())


Break = Callable[[dict[str, bytes]], dict[str, bytes]]


def without(name: str) -> Break:
    return lambda files: {key: value for key, value in files.items() if key != name}


def with_file(name: str, content: Callable[[bytes], bytes]) -> Break:
    return lambda files: {**files, name: content(files[name])}


def other_key(files: dict[str, bytes]) -> dict[str, bytes]:
    return {**files, "tls.key": client_pair(trustme.CA())["tls.key"]}


def encrypted(key: bytes) -> bytes:
    loaded = load_pem_private_key(key, None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (without("tls.crt"), "tls.crt: No such file or directory"),
        (without("tls.key"), "tls.key: No such file or directory"),
        (other_key, "tls.crt and tls.key are not a PEM certificate with its key: key values mismatch"),
        (with_file("tls.crt", lambda pem: b""), "tls.crt and tls.key are not a PEM certificate with its key"),
        (with_file("tls.key", lambda pem: pem[:99]), "tls.crt and tls.key are not a PEM certificate with its key"),
        (with_file("tls.key", encrypted), "tls.crt and tls.key are not a PEM certificate with its key"),
        (with_file("ca.crt", lambda pem: b"x"), "ca.crt: "),
    ],
    ids=["no-certificate", "no-key", "other-key", "empty-certificate", "cut-key", "encrypted-key", "invalid-authority"],
)
@pytest.mark.parametrize("from_start", [True, False], ids=["at-start", "later"])
def test_nothing_is_sent_without_a_usable_certificate(
    tmp_path: Path, broken: Break, reason: str, from_start: bool
) -> None:
    async def test() -> None:
        setup = Setup(tmp_path)
        valid = setup.valid
        mount(tmp_path, broken(valid) if from_start else valid)
        async with setup.running() as channel:
            mount(tmp_path, broken(valid))
            attempt = await channel.post(MESSAGE)
            assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "tls")
            assert attempt.reason.startswith(f"client certificate: {tmp_path}/")
            assert reason in attempt.reason
            assert setup.sink.connections == []
            mount(tmp_path, valid)
            assert (await channel.post(MESSAGE)).code == "202"

    asyncio.run(test())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all files")
def test_unreadable_key_is_named(tmp_path: Path) -> None:
    async def test() -> None:
        setup = Setup(tmp_path)
        mount(tmp_path, setup.valid)
        (tmp_path / "tls.key").chmod(0)
        async with setup.running() as channel:
            assert (await channel.post(MESSAGE)).reason == f"client certificate: {tmp_path}/tls.key: Permission denied"

    asyncio.run(test())


def test_certificate_for_a_url_without_https_is_an_environment_error(tmp_path: Path) -> None:
    destination = Destination("http://sink/", credentials=Credentials(client_certificate=tmp_path))
    with pytest.raises(EnvError, match=r"^SINK_AUTH is not valid: write an https URL for the destination"):
        Channel(destination, 1, VirtualClock())


def test_refused_certificate_is_named_in_the_reason(tmp_path: Path) -> None:
    """The server is not asyncio's, which closes the connection without the alert of TLS."""
    setup = Setup(tmp_path)
    mount(tmp_path, {**setup.valid, **client_pair(trustme.CA())})

    def serve() -> None:
        connection, _ = setup.sink.socket.accept()
        with connection.dup() as octets:
            with pytest.raises(ssl.SSLError):
                server_context(setup.servers, setup.clients).wrap_socket(connection, server_side=True)
            while octets.recv(4096):  # unread octets would reset the connection, and the alert could be lost
                pass

    async def test() -> None:
        destination = Destination(setup.sink.url, credentials=Credentials(client_certificate=tmp_path))
        async with contextlib.aclosing(Channel(destination, 10, VirtualClock())) as channel:
            assert (await channel.post(MESSAGE)).reason == "no response: TLS error: tlsv1 alert unknown ca"

    with setup.sink.socket, ThreadPoolExecutor() as threads:
        served = threads.submit(serve)
        asyncio.run(test())
        served.result()


def test_bundle_that_is_invalid_at_the_start_does_not_end_the_adapter(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "bundle.pem").write_text("x")
        made = Channel(Destination("https://127.0.0.1:9", bundles=tmp_path), 0.5, VirtualClock())
        attempt = await made.post(MESSAGE)
        assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
        assert "bundle.pem holds no PEM certificates" in attempt.reason
        await made.aclose()

    asyncio.run(test())

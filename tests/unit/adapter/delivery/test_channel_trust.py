"""Certificates that a channel trusts, and destinations that it refuses."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapter.cloudevents.encode import Message
from adapter.contract.declarations import EnvError
from adapter.delivery.attempt import Attempt, Disposition
from adapter.delivery.channel import Channel, Destination, trust_context
from adapter.testing.clock import VirtualClock
from tests.unit.adapter.delivery.loopback import ACCEPTED, tls_sink

MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, b"data")


def destination(**fields: Any) -> Destination:
    return Destination("https://h", **fields)


def test_tls_1_2_is_the_minimum() -> None:
    assert trust_context(destination()).minimum_version is ssl.TLSVersion.TLSv1_2


def test_given_and_mounted_certificates_are_trusted_in_addition_to_the_system_cas(tmp_path: Path) -> None:
    own, mounted = (trustme.CA().cert_pem.bytes().decode() for _ in range(2))
    system = len(trust_context(destination()).get_ca_certs())
    assert len(trust_context(destination(ca_certs=f"# Schlüssel der Behörde\n{own}")).get_ca_certs()) == system + 1
    (tmp_path / "bundle.pem").write_text(mounted)
    (tmp_path / "..data").mkdir()
    assert len(trust_context(destination(ca_certs=own, bundles=tmp_path)).get_ca_certs()) == system + 2


def replace_bundle(directory: Path, text: str) -> None:
    """Replace the file by one with another inode, as the kubelet does."""
    (directory / ".new").write_text(text)
    (directory / ".new").replace(directory / "bundle.pem")


def test_changed_bundle_takes_effect_at_the_next_attempt(tmp_path: Path) -> None:
    async def test() -> None:
        sink, own = tls_sink()
        async with sink.running():
            made = Channel(Destination(sink.url, bundles=tmp_path), 10, VirtualClock())
            assert (await made.post(MESSAGE)).code == "transport"
            replace_bundle(tmp_path, own)
            assert [(await made.post(MESSAGE)).code for _ in range(2)] == ["202", "202"]
            assert sink.connections == [2]  # one connection while nothing changes
            replace_bundle(tmp_path, trustme.CA().cert_pem.bytes().decode())
            attempt = await made.post(MESSAGE)
            assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
            assert "certificate verify failed" in attempt.reason
            await made.aclose()

    asyncio.run(test())


def test_request_in_flight_keeps_its_connection_when_a_bundle_changes(tmp_path: Path) -> None:
    arrived, changed = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await changed.wait()
        writer.write(ACCEPTED)

    async def test() -> None:
        sink, own = tls_sink(slow)
        replace_bundle(tmp_path, own)
        async with sink.running():
            made = Channel(Destination(sink.url, bundles=tmp_path), 10, VirtualClock())
            first = asyncio.create_task(made.post(MESSAGE))
            await arrived.wait()
            replace_bundle(tmp_path, own + own)
            assert (await made.post(MESSAGE)).code == "202"
            changed.set()
            assert (await first).code == "202"
            assert sink.connections == [1, 1]
            await made.aclose()

    asyncio.run(test())


def test_invalid_bundle_stops_deliveries_and_is_named(tmp_path: Path) -> None:
    async def test() -> Attempt:
        made = Channel(Destination("https://127.0.0.1:9", bundles=tmp_path), 0.5, VirtualClock())
        replace_bundle(tmp_path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        attempt = await made.post(MESSAGE)
        await made.aclose()
        return attempt

    attempt = asyncio.run(test())
    assert (attempt.disposition, attempt.code) == (Disposition.RETRY, "transport")
    assert "bundle.pem" in attempt.reason


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x", id="no-pem"),
        pytest.param("ü", id="not-ascii"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", id="no-certificate"),
    ],
)
def test_invalid_certificates_are_an_environment_error(text: str) -> None:
    with pytest.raises(EnvError, match=r"^K_CA_CERTS is .*: write PEM certificates"):
        trust_context(destination(ca_certs=text))
    with pytest.raises(EnvError, match=r"^DEAD_LETTER_CA_CERTS is"):
        trust_context(destination(ca_certs=text, ca_certs_variable="DEAD_LETTER_CA_CERTS"))


@pytest.mark.parametrize(
    "url", ["http://user:secret@[::1", "http://user:secret/x@sink", "http://user:secret?@x@sink:0"]
)
def test_invalid_sink_url_is_an_environment_error_without_the_password(url: str) -> None:
    with pytest.raises(EnvError, match="K_SINK") as caught:
        Channel(Destination(url), 1, VirtualClock())
    assert "secret" not in str(caught.value)

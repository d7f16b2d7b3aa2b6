"""Headers, users and tokens that a channel sends, and what it never shows of them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from adapter.cloudevents.encode import Message
from adapter.delivery.channel import Channel, Destination
from adapter.net.credentials import Credentials, OAuth2
from adapter.testing.clock import VirtualClock
from tests.unit.adapter.delivery.loopback import Loopback

MESSAGE = Message({"Content-Type": "text/plain", "ce-id": "1"}, b"data")
OAUTH2 = OAuth2("http://idp/token", "me", "hunter22222")


def sent(credentials: Credentials) -> bytes:
    """The request that a sink gets."""
    sink = Loopback()

    async def test() -> None:
        async with sink.running():
            destination = Destination(sink.url, credentials=credentials)
            async with contextlib.aclosing(Channel(destination, 10, VirtualClock())) as channel:
                assert (await channel.post(MESSAGE)).code == "202"

    asyncio.run(test())
    return sink.requests[0]


def test_headers_of_the_credentials_are_sent_to_an_api_gateway() -> None:
    assert b"\r\nX-Api-Key: k-12345678\r\n" in sent(Credentials(headers={"X-Api-Key": "k-12345678"}))


def test_user_and_password_are_sent_as_basic_authentication_of_openfaas() -> None:
    assert b"\r\nAuthorization: Basic YWRtaW46cGFzc3fDtnJk\r\n" in sent(Credentials(basic=("admin", "passwörd")))


@pytest.mark.parametrize(
    ("credentials", "secrets"),
    [
        (Credentials(headers={"X-Api-Key": "k-12345678"}), ["k-12345678"]),
        (Credentials(basic=("admin", "passwörd")), ["passwörd", "YWRtaW46cGFzc3fDtnJk"]),
        (Credentials(oauth2=OAUTH2), ["hunter22222"]),
    ],
    ids=["header", "basic", "oauth2"],
)
def test_secrets_of_credentials_are_hidden_and_not_in_their_repr(credentials: Credentials, secrets: list[str]) -> None:
    destination = Destination("http://sink/", credentials=credentials)
    assert list(destination.secrets()) == secrets

    assert [secret for secret in secrets if secret in repr(destination)] == []

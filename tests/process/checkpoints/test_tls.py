"""TLS to the servers of checkpoints: the trust of TRUST_BUNDLES, the name of the host, and the modes of PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from adapter.checkpoints.store import Record
from tests.deadline import DEADLINE_S
from tests.process.checkpoints.opened import failure, listening, new_key, opened
from tests.process.harness import free_port
from tests.process.kinds.servers import Postgres, RedisServer, server_directory

CA = trustme.CA()
UNKNOWN = "the certificate is not valid: unable to get local issuer certificate"
OTHER_NAME = "the certificate is not valid: ip address mismatch, certificate is not valid for '127.0.0.1'"
VERIFIES = ("verify-ca", "verify-full")


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    CA.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path


@pytest.fixture(scope="module")
def certificate() -> Iterator[Path]:
    """A directory with ``crt`` and ``key`` for localhost, not for 127.0.0.1."""
    with server_directory() as directory:
        issued = CA.issue_cert("localhost")
        issued.private_key_pem.write_to_path(directory / "key")
        for number, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(directory / "crt", append=number > 0)
        yield directory


@pytest.fixture(scope="module")
def tls_postgres(postgres: Postgres, certificate: Path) -> str:
    data = Path(postgres.run("SHOW data_directory")[0][0])
    for name in ("crt", "key"):
        target = Path(shutil.copy(certificate / name, data / f"server.{name}"))
        target.chmod(0o600)
        shutil.chown(target, data.owner())
    postgres.run("ALTER SYSTEM SET ssl = on")
    postgres.run("SELECT pg_reload_conf()")
    return postgres.url


@pytest.fixture(scope="module")
def tls_redis(redis: RedisServer, certificate: Path) -> str:
    port = free_port()
    files = {"tls-cert-file": str(certificate / "crt"), "tls-key-file": str(certificate / "key")}
    redis.client.config_set("tls-auth-clients", "no")
    redis.client.execute_command("CONFIG", "SET", *(word for pair in files.items() for word in pair))
    redis.client.config_set("tls-port", port)
    return f"rediss://127.0.0.1:{port}/0"


async def works(url: str, **options: Any) -> None:
    async with opened(url, new_key(), **options) as store:
        await store.load()
        assert await store.save(Record(1, "value")) == 1


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, DEADLINE_S))


def uses_tls(postgres: Postgres) -> bool:
    sql = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sample-source'"
    return [bool(row[0]) for row in postgres.run(sql)] == [True]


@pytest.mark.parametrize("mode", ["prefer", "require", *VERIFIES])
def test_postgres_connection_is_encrypted(tls_postgres: str, postgres: Postgres, bundles: Path, mode: str) -> None:
    async def test() -> None:
        url = f"{tls_postgres}?sslmode={mode}".replace("127.0.0.1", "localhost")
        async with opened(url, new_key(), trust_bundles=bundles) as store:
            await store.load()
            assert await asyncio.to_thread(uses_tls, postgres)

    run(test())


def test_postgres_mode_disable_uses_no_tls(tls_postgres: str, postgres: Postgres) -> None:
    async def test() -> None:
        async with opened(f"{tls_postgres}?sslmode=disable", new_key()) as store:
            await store.load()
            assert not await asyncio.to_thread(uses_tls, postgres)

    run(test())


@pytest.mark.parametrize("mode", VERIFIES)
def test_verifying_modes_refuse_an_unknown_authority(tls_postgres: str, mode: str) -> None:
    assert failure(f"{tls_postgres}?sslmode={mode}").endswith(f": {UNKNOWN}")


def test_only_verify_full_refuses_another_name(tls_postgres: str, bundles: Path) -> None:
    run(works(f"{tls_postgres}?sslmode=verify-ca", trust_bundles=bundles))
    assert failure(f"{tls_postgres}?sslmode=verify-full", trust_bundles=bundles).endswith(f": {OTHER_NAME}")


@pytest.mark.parametrize("mode", ["require", *VERIFIES])
def test_server_without_tls_is_refused(mode: str) -> None:
    def handle(connection: Any) -> None:
        connection.recv(100)
        connection.sendall(b"N")

    with listening(handle) as (port, _):
        assert failure(f"postgresql://u@127.0.0.1:{port}/d?sslmode={mode}").endswith(": PostgreSQL has no TLS")


def test_rediss_trusts_the_bundles_and_checks_the_name(tls_redis: str, bundles: Path) -> None:
    run(works(tls_redis.replace("127.0.0.1", "localhost"), trust_bundles=bundles))
    assert failure(tls_redis.replace("127.0.0.1", "localhost")).endswith(f": {UNKNOWN}")
    assert failure(tls_redis, trust_bundles=bundles).endswith(f": {OTHER_NAME}")


def test_redis_without_s_at_a_tls_port_is_a_store_error(tls_redis: str) -> None:
    assert failure(tls_redis.replace("rediss", "redis")).startswith(tls_redis[9:-2])


def test_changed_bundle_is_used_for_the_next_connection(tls_redis: str, bundles: Path) -> None:
    async def test() -> None:
        async with opened(tls_redis.replace("127.0.0.1", "localhost"), new_key(), trust_bundles=bundles) as store:
            (bundles / "ca.pem").rename(bundles.parent / "ca.pem")
            with pytest.raises(Exception, match=UNKNOWN):
                await store.load()
            (bundles.parent / "ca.pem").rename(bundles / "ca.pem")
            await store.load()

    run(test())


def test_bundle_that_is_no_certificate_is_a_store_error(tls_redis: str, bundles: Path) -> None:
    (bundles / "bad.pem").write_text("s3cret")
    assert "bad.pem holds no PEM certificates" in failure(tls_redis, trust_bundles=bundles)

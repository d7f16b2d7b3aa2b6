"""Metacontroller calls a hook that demands TLS and a token or a client certificate. Everybody else is refused.

Also facts of Metacontroller 4.17 that docs/trust.md states: which permission it needs, and when it reads a Secret.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx2
import pytest
import trustme

from tests.cluster.api import eventually
from tests.cluster.local_cluster import CONTROLLERS, LocalCluster
from tests.cluster.namespace import SourceNamespace
from tests.cluster.secured import NAME, TLS, TOKEN, USER, SecuredHook, allow_secrets, forbid_secrets
from tests.mounts import client_pair

CA, NEXT_CA, CLIENTS, NEXT_CLIENTS, OTHERS = (trustme.CA() for _ in range(5))
FIRST, SECOND = b"0123456789abcdef", b"fedcba9876543210"
SOURCES = [f"s{n}" for n in range(12)]
ROTATIONS = 5
DEADLINE_S = 120


@pytest.fixture
def secured(ns: SourceNamespace, tmp_path: Path) -> Iterator[Callable[..., SecuredHook]]:
    """Starts a hook that demands credentials, and lets Metacontroller call it instead of the usual one."""
    cluster, started = ns.cluster, list(ns.cluster.hooks)

    def start(*, secrets_are_allowed: bool = True, **demands: bool) -> SecuredHook:
        hook = SecuredHook(cluster, tmp_path / "mounted", **demands)
        hook.create_namespace()
        hook.secret(TLS, {"ca.crt": CA.cert_pem.bytes()})
        hook.secret(TOKEN, {"token": FIRST})
        hook.client_secret(CLIENTS)
        hook.files = {"tokens": FIRST, "client-ca.crt": CLIENTS.cert_pem.bytes()}
        hook.rotate(CA)
        hook.start()
        if secrets_are_allowed:
            allow_secrets(cluster)
        cluster.api.apply(hook.controller())
        return hook

    yield start
    cluster.install()
    forbid_secrets(cluster)
    for hook in cluster.hooks[len(started) :]:
        hook.stop()
    cluster.hooks[:] = started
    cluster.metacontroller.stop()  # its cache of Secrets would ask again and again
    cluster.metacontroller.start()


@pytest.fixture
def log_start(cluster: LocalCluster) -> int:
    """Where the log of Metacontroller ends now."""
    return cluster.metacontroller.log.stat().st_size


def assert_no_sync_failed(ns: SourceNamespace, log_start: int) -> None:
    """Except those that Metacontroller itself cancels when it restarts a controller whose spec has changed."""
    log = ns.cluster.metacontroller.log.read_bytes()[log_start:].decode(errors="replace")
    failed = [*ns.events("SyncError"), *(line for line in log.splitlines() if "failed to sync" in line)]
    assert [error for error in failed if "context canceled" not in error] == []


def edit_all(ns: SourceNamespace, seconds: int, names: Sequence[str] = SOURCES) -> None:
    for name in names:
        ns.edit(name, interval=f"{seconds}s")
    for name in names:
        ns.wait_until_ready(name, deadline_s=DEADLINE_S)


def create_sources(ns: SourceNamespace, names: Sequence[str] = SOURCES) -> None:
    ns.service()
    for name in names:
        ns.source(name)
    for name in names:
        ns.wait_until_ready(name, deadline_s=DEADLINE_S)


def status_for(hook: SecuredHook, scheme: str = "https", pair: Path | None = None, **headers: str) -> int:
    """Of a sync by another caller; 0 if the connection fails."""
    context = ssl.create_default_context()
    for authority in (CA, NEXT_CA):
        authority.configure_trust(context)
    if pair:
        context.load_cert_chain(pair / "tls.crt", pair / "tls.key")
    try:
        return httpx2.post(
            f"{scheme}://127.0.0.1:{hook.port}/sync", json={}, headers=headers, verify=context, trust_env=False
        ).status_code
    except httpx2.TransportError:
        return 0


def write(directory: Path, authority: trustme.CA) -> Path:
    directory.mkdir()
    for name, content in client_pair(authority).items():
        (directory / name).write_bytes(content)
    return directory


def test_with_tls_and_token_only_metacontroller_is_answered(
    ns: SourceNamespace, secured: Callable[..., SecuredHook], log_start: int
) -> None:
    hook = secured(token=True)
    ns.service()
    ns.source()
    ns.wait_until_ready(deadline_s=DEADLINE_S)
    ns.edit(interval="33s")
    ns.wait_until_ready(deadline_s=DEADLINE_S)
    assert_no_sync_failed(ns, log_start)
    assert status_for(hook) == 401
    assert status_for(hook, Authorization=f"Bearer {SECOND.decode()}") == 401
    assert status_for(hook, "http", Authorization=f"Bearer {FIRST.decode()}") == 0
    assert status_for(hook, Authorization=f"Bearer {FIRST.decode()}") == 400  # accepted, and the body is invalid


def test_with_mutual_tls_only_metacontroller_is_answered(
    ns: SourceNamespace, secured: Callable[..., SecuredHook], log_start: int, tmp_path: Path
) -> None:
    hook = secured(mutual=True)
    ns.service()
    ns.source()
    ns.wait_until_ready(deadline_s=DEADLINE_S)
    ns.edit(interval="33s")
    ns.wait_until_ready(deadline_s=DEADLINE_S)
    assert_no_sync_failed(ns, log_start)
    assert status_for(hook) == 403
    assert status_for(hook, pair=write(tmp_path / "others", OTHERS)) == 0
    assert status_for(hook, "http") == 0
    assert status_for(hook, pair=write(tmp_path / "clients", CLIENTS)) == 400  # accepted, and the body is invalid


def test_certificate_rotates_under_load_without_a_failed_sync(
    ns: SourceNamespace, secured: Callable[..., SecuredHook], log_start: int
) -> None:
    """12 sources are edited all the time. Each new certificate is used before the next one comes."""
    hook = secured(token=True, mutual=True)
    create_sources(ns)
    stop, rounds = threading.Event(), []

    def edit() -> None:
        while not stop.is_set():
            edit_all(ns, 20 + len(rounds) % 30)
            rounds.append(1)

    load = threading.Thread(target=edit)
    load.start()
    try:
        for n in range(1, ROTATIONS + 1):
            hook.rotate(CA)
            eventually(
                lambda: len(hook.process.logged("a changed file is in use")),
                lambda count, n=n: count >= n,
                f"certificate {n} is in use",
                deadline_s=DEADLINE_S,
                details=ns.describe,
            )
    finally:
        stop.set()
        load.join()
    edit_all(ns, 60)
    assert rounds
    assert_no_sync_failed(ns, log_start)


def test_token_and_cas_change_in_the_documented_order_without_a_failed_sync(
    ns: SourceNamespace, secured: Callable[..., SecuredHook], log_start: int
) -> None:
    hook = secured(token=True, mutual=True)
    names = SOURCES[:3]
    create_sources(ns, names)
    both = CA.cert_pem.bytes() + NEXT_CA.cert_pem.bytes()
    steps: list[Callable[[], None]] = [
        # the token
        lambda: hook.mount(tokens=FIRST + b"\n" + SECOND),
        lambda: (hook.secret(TOKEN, {"token": SECOND}), hook.read_secrets_again())[0],
        lambda: hook.mount(tokens=SECOND),
        # the CA of the hook
        lambda: (hook.secret(TLS, {"ca.crt": both}), hook.read_secrets_again())[0],
        lambda: hook.rotate(NEXT_CA),
        lambda: (hook.secret(TLS, {"ca.crt": NEXT_CA.cert_pem.bytes()}), hook.read_secrets_again())[0],
        # the CA of the client
        lambda: hook.mount(**{"client-ca_crt": CLIENTS.cert_pem.bytes() + NEXT_CLIENTS.cert_pem.bytes()}),
        lambda: (hook.client_secret(NEXT_CLIENTS), hook.read_secrets_again())[0],
        lambda: hook.mount(**{"client-ca_crt": NEXT_CLIENTS.cert_pem.bytes()}),
    ]
    for n, step in enumerate(steps):
        step()
        edit_all(ns, 20 + n, names)
    assert_no_sync_failed(ns, log_start)
    assert status_for(hook, Authorization=f"Bearer {FIRST.decode()}") == 403


def test_metacontroller_reads_secrets_again_after_a_change_of_spec_but_not_of_annotations(
    ns: SourceNamespace, secured: Callable[..., SecuredHook]
) -> None:
    hook = secured(token=True)
    ns.service()
    ns.source()
    ns.wait_until_ready(deadline_s=DEADLINE_S)
    hook.secret(TOKEN, {"token": SECOND})
    hook.mount(tokens=SECOND)
    ns.api.patch(*CONTROLLERS, NAME, {"metadata": {"annotations": {"touched": "now"}}})
    ns.edit(interval="33s")
    eventually(lambda: ns.events("SyncError"), bool, "a sync with the old token", details=ns.describe)
    hook.read_secrets_again()
    ns.wait_until_ready(deadline_s=DEADLINE_S)


def test_metacontroller_lists_and_watches_all_secrets_and_gets_none(
    ns: SourceNamespace, secured: Callable[..., SecuredHook]
) -> None:
    """So a role for ``get`` of three names is not enough. Until it may list them, it handles no CompositeController."""
    secured(token=True, secrets_are_allowed=False)
    ns.service()
    ns.source()
    log = ns.cluster.metacontroller.log
    eventually(log.read_text, lambda text: 'cannot list resource \\"secrets\\"' in text, "a refused list")
    assert "status" not in ns.read()
    allow_secrets(ns.cluster)
    ns.wait_until_ready(deadline_s=DEADLINE_S)
    requests = [each for each in ns.audit() if each["user"]["username"] == USER and "objectRef" in each]
    verbs = {each["verb"] for each in requests if each["objectRef"].get("resource") == "secrets"}
    assert "watch" in verbs
    assert verbs <= {"list", "watch"}

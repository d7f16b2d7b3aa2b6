"""The certificate, the client CA and the tokens of the hook: what is refused, and what a change of a file does."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import trustme

from adapter.contract.declarations import EnvError
from adapter.serving.messages import Refusal
from hooks.serving.credentials import Credentials
from hooks.settings import Settings
from tests.mounts import client_pair, mount

CA = trustme.CA()
PEM = CA.cert_pem.bytes()
PAIR = client_pair(CA)
OTHER = client_pair(CA)
TOKEN, NEXT = "0123456789abcdef", "fedcba9876543210"
ADVICE = "write one token of at least 16 characters per line, as of `openssl rand -hex 32`"


def credentials(directory: Path, *variables: str, **files: bytes) -> Credentials:
    """With ``files`` in ``directory``. ``variables``: the settings that name them."""
    mount(directory, {name.replace("_", "."): content for name, content in files.items()})
    paths = {
        "tls_dir": directory,
        "client_ca_file": directory / "ca.crt",
        "auth_token_file": directory / "tokens",
    }
    return Credentials(Settings(adapter_image="a:1", **{name: paths[name] for name in variables}))


def encrypted(key: bytes) -> bytes:
    command = ["openssl", "pkey", "-aes256", "-passout", "pass:0123456789"]
    return subprocess.run(command, input=key, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("variable", "files", "problem"),
    [
        pytest.param(
            "tls_dir", {}, 'TLS_DIR is "<>": tls.crt cannot be read: No such file or directory;', id="no-certificate"
        ),
        pytest.param(
            "tls_dir",
            {"tls_crt": PAIR["tls.crt"]},
            'TLS_DIR is "<>": tls.key cannot be read: No such file or directory; write this file',
            id="no-key",
        ),
        pytest.param(
            "tls_dir",
            {"tls_crt": PAIR["tls.crt"], "tls_key": OTHER["tls.key"]},
            'TLS_DIR is "<>": tls.key is not the key of tls.crt; write both files of one certificate',
            id="other-key",
        ),
        pytest.param(
            "tls_dir",
            {"tls_crt": b"hello", "tls_key": PAIR["tls.key"]},
            'TLS_DIR is "<>": tls.crt is not PEM; write certificates that begin with -----BEGIN CERTIFICATE-----',
            id="no-pem",
        ),
        pytest.param(
            "tls_dir",
            {"tls_crt": PAIR["tls.crt"], "tls_key": PAIR["tls.key"][:100]},
            'TLS_DIR is "<>": tls.key is not a PEM private key; write it without a password',
            id="half-key",
        ),
        pytest.param(
            "tls_dir",
            {"tls_crt": PAIR["tls.crt"], "tls_key": encrypted(PAIR["tls.key"])},
            'TLS_DIR is "<>": tls.key is not a PEM private key; write it without a password',
            id="encrypted-key",
        ),
        pytest.param(
            "client_ca_file",
            {"ca_crt": PEM},
            'CLIENT_CA_FILE is "<>/ca.crt": client certificates need TLS; set TLS_DIR, too',
            id="ca-without-tls",
        ),
        pytest.param(
            "auth_token_file",
            {},
            'AUTH_TOKEN_FILE is "<>/tokens": tokens cannot be read: No such file or directory; write this file',
            id="no-tokens",
        ),
        pytest.param(
            "auth_token_file",
            {"tokens": b" \n\n"},
            f'AUTH_TOKEN_FILE is "<>/tokens": the file has no token; {ADVICE}',
            id="empty-tokens",
        ),
        pytest.param(
            "auth_token_file",
            {"tokens": f"{TOKEN}\nshort-secret\n".encode()},
            f'AUTH_TOKEN_FILE is "<>/tokens": the token in line 2 has fewer than 16 characters; {ADVICE}',
            id="short-token",
        ),
        pytest.param(
            "auth_token_file",
            {"tokens": b"token: 0123456789abcdef"},
            'AUTH_TOKEN_FILE is "<>/tokens": the token in line 1 has characters other than A-Z a-z 0-9 - . _ ~ + /; '
            f"{ADVICE}",
            id="no-token",
        ),
    ],
)
def test_unusable_file_is_an_error_with_variable_value_and_remedy(
    variable: str, files: dict[str, bytes], problem: str
) -> None:
    # tmp_path may be longer than the part of a value that an error shows.
    with TemporaryDirectory() as directory, pytest.raises(EnvError) as raised:
        credentials(Path(directory), variable, **files)
    assert str(raised.value).startswith(problem.replace("<>", directory))
    assert "secret" not in str(raised.value)


def test_client_ca_must_be_pem(tmp_path: Path) -> None:
    files: dict[str, Any] = {"tls_crt": PAIR["tls.crt"], "tls_key": PAIR["tls.key"], "ca_crt": b"x"}
    with pytest.raises(EnvError, match=r"CLIENT_CA_FILE is .*: ca.crt is not PEM; write certificates that begin with"):
        credentials(tmp_path, "tls_dir", "client_ca_file", **files)


def refusal(check: Callable[[], None]) -> tuple[int, str, str]:
    """Status, text and the header WWW-Authenticate."""
    with pytest.raises(Refusal) as raised:
        check()
    return raised.value.status, str(raised.value), raised.value.headers.get("WWW-Authenticate", "")


@pytest.mark.parametrize(
    ("headers", "text", "challenge"),
    [
        pytest.param([], "a token is needed", 'Bearer realm="sources-hook"', id="none"),
        pytest.param([(b"authorization", b"Basic YTpi")], "a token is needed", "Bearer realm=", id="basic"),
        pytest.param(
            [(b"authorization", f"Bearer {TOKEN}".encode())] * 2, "a token is needed", "Bearer realm=", id="twice"
        ),
        pytest.param(
            [(b"authorization", b"Bearer 0123456789abcdeg")],
            "the token is not valid; use one of AUTH_TOKEN_FILE",
            'Bearer realm="sources-hook", error="invalid_token"',
            id="wrong",
        ),
        pytest.param([(b"authorization", b"Bearer ")], "the token is not valid", "error=", id="empty"),
        pytest.param([(b"authorization", "Bearer é".encode())], "the token is not valid", "error=", id="no-ascii"),
    ],
)
def test_request_without_a_valid_token_is_401_with_a_challenge(
    tmp_path: Path, headers: list[tuple[bytes, bytes]], text: str, challenge: str
) -> None:
    known = credentials(tmp_path, "auth_token_file", tokens=TOKEN.encode())
    status, reason, authenticate = refusal(lambda: known.check(headers, has_certificate=True))
    assert (status, text in reason, challenge in authenticate) == (401, True, True)
    assert TOKEN not in reason + authenticate


@pytest.mark.parametrize("token", [TOKEN, NEXT])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_request_with_any_token_of_the_file_is_accepted(tmp_path: Path, token: str, scheme: str) -> None:
    known = credentials(tmp_path, "auth_token_file", tokens=f"  {TOKEN}\r\n\n{NEXT}".encode())
    known.check([(b"host", b"h"), (b"authorization", f"{scheme} {token}".encode())], has_certificate=False)


def test_request_needs_the_client_certificate_and_the_token(tmp_path: Path) -> None:
    files: dict[str, Any] = {"tls_crt": PAIR["tls.crt"], "tls_key": PAIR["tls.key"], "ca_crt": PEM}
    known = credentials(tmp_path, "tls_dir", "client_ca_file", "auth_token_file", **files, tokens=TOKEN.encode())
    bearer = [(b"authorization", f"Bearer {TOKEN}".encode())]
    known.check(bearer, has_certificate=True)
    assert refusal(lambda: known.check(bearer, has_certificate=False))[:2] == (
        403,
        "a client certificate is needed; use one that a CA in CLIENT_CA_FILE has signed",
    )
    assert refusal(lambda: known.check([], has_certificate=True))[0] == 401


def test_without_settings_nothing_is_demanded(tmp_path: Path) -> None:
    known = credentials(tmp_path)
    assert (known.are_demanded, known.tls, known.problems()) == (False, None, [])


def test_changed_tokens_apply_at_once(tmp_path: Path) -> None:
    known = credentials(tmp_path, "auth_token_file", tokens=TOKEN.encode())
    bearer = [(b"authorization", f"Bearer {NEXT}".encode())]
    assert refusal(lambda: known.check(bearer, has_certificate=False))[0] == 401
    mount(tmp_path, {"tokens": f"{TOKEN}\n{NEXT}".encode()})
    known.check(bearer, has_certificate=False)
    mount(tmp_path, {"tokens": TOKEN.encode()})
    assert refusal(lambda: known.check(bearer, has_certificate=False))[0] == 401


def test_changed_certificate_is_in_the_next_context(tmp_path: Path) -> None:
    known = credentials(tmp_path, "tls_dir", tls_crt=PAIR["tls.crt"], tls_key=PAIR["tls.key"])
    assert known.tls
    first = known.tls.value
    assert first.minimum_version == ssl.TLSVersion.TLSv1_2
    assert known.tls.value is first
    mount(tmp_path, OTHER)
    assert known.tls.value is not first


def test_last_valid_pair_stays_while_only_one_file_is_new_and_one_line_reports_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As while a program copies one file after the other."""
    caplog.set_level("INFO")
    for name, content in PAIR.items():
        (tmp_path / name).write_bytes(content)
    known = Credentials(Settings(adapter_image="a:1", tls_dir=tmp_path))
    assert known.tls
    first = known.tls.value
    (tmp_path / "tls.crt").write_bytes(OTHER["tls.crt"][:100])
    assert known.tls.value is known.tls.value is first
    (tmp_path / "tls.crt").write_bytes(OTHER["tls.crt"])
    assert known.tls.value is first
    assert known.problems() == [
        "TLS_DIR: tls.key is not the key of tls.crt; write both files of one certificate; the last valid content stays "
        "in use"
    ]
    (tmp_path / "tls.key").write_bytes(OTHER["tls.key"])
    assert known.tls.value is not first
    assert known.problems() == []
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "a file is invalid; its last valid content stays in use"),
        ("WARNING", "a file is invalid; its last valid content stays in use"),
        ("INFO", "a changed file is in use"),
    ]


def test_file_that_disappears_changes_nothing(tmp_path: Path) -> None:
    known = credentials(tmp_path, "auth_token_file", tokens=TOKEN.encode())
    mount(tmp_path, {})
    known.check([(b"authorization", f"Bearer {TOKEN}".encode())], has_certificate=False)
    assert known.problems() == [
        "AUTH_TOKEN_FILE: tokens cannot be read: No such file or directory; write this file; the last valid content "
        "stays in use"
    ]

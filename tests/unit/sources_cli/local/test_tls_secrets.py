"""The files of client certificates in local runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sources_cli.local.tls_secrets import TlsSecrets
from sources_cli.problem import Problem
from tests.unit.hooks.hook import answer

SPEC = {"sink": {"uri": "https://h"}, "sinkAuth": {"tls": {"secretName": "client"}}}


def deployment(spec: Any) -> Any:
    [desired] = answer(spec)["children"]
    return desired


def test_files_of_a_secret_are_written_again_and_removed() -> None:
    secrets = TlsSecrets(deployment(SPEC))
    for text in ("one", "two"):
        environ = secrets.environ({("Secret", "ns", "client"): {"tls.crt": text}})
        directory = Path(environ["TLS_SECRETS"])
        assert (directory / "client/tls.crt").read_text() == text
        assert directory.stat().st_mode & 0o777 == 0o700
    secrets.remove()
    assert not directory.exists()


def test_source_without_client_certificates_has_no_directory() -> None:
    secrets = TlsSecrets(deployment({"sink": {"uri": "https://h"}}))
    assert secrets.environ({}) == {}
    secrets.remove()


def test_missing_secret_is_a_problem_that_names_it() -> None:
    with pytest.raises(Problem, match='Secret "client" not found in namespace "ns"'):
        TlsSecrets(deployment(SPEC)).environ({("ConfigMap", "ns", "client"): {}})

"""Reads of an API server that refuses, hangs, or answers nonsense: an answer says why a value is unknown."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sources_cli.cluster.commands import list_sources
from sources_cli.cluster.finding import ABSENT, Read
from sources_cli.cluster.reader import PAGE_LENGTH, Access, Reader, connected
from sources_cli.problem import Problem

ROOT = Path(__file__).resolve().parents[4]
LONG_S = 60  # a loaded machine is slow
STATUS = {"kind": "Status", "message": 'secrets "queue" is forbidden: User "u" cannot get resource'}
RESOURCES = [
    {"resource": name, "responseKind": {"kind": name.title()}, "scope": "Namespaced", "categories": ["sources"]}
    for name in ("as", "bs")
]
DISCOVERED = {"metadata": {"name": "x.example"}, "versions": [{"version": "v1", "resources": RESOURCES}]}
PAGES: dict[str, tuple[int, str]] = {
    "/version": (200, '{"gitVersion": "v1.35.0"}'),
    "/apis": (200, json.dumps({"items": [DISCOVERED]})),
    "/api": (200, '{"items": []}'),
    "/apis/x.example/v1/as": (200, '{"kind": "AList", "apiVersion": "x.example/v1", "items": []}'),
    "/apis/x.example/v1/bs": (403, json.dumps(STATUS)),
    "/api/v1/pods": (200, '{"kind": "PodList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}'),
    "/api/v1/gone": (404, json.dumps({**STATUS, "message": "not found"})),
    "/api/v1/forbidden": (403, json.dumps(STATUS)),
    "/api/v1/broken": (500, json.dumps({**STATUS, "message": "etcd is down"})),
    "/api/v1/nonsense": (200, "<html>"),
    "/api/v1/long": (200, "x" * 3_000_000),
    "/api/v1/page": (503, "not started yet\n"),
    "/api/v1/unreachable": (503, "Error trying to reach service: dial tcp 10.0.0.1:8090: refused"),
}


@asynccontextmanager
async def api_server(hangs: str) -> AsyncIterator[int]:
    """Answers :data:`PAGES` on a port of its own; never a path that begins with ``hangs``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode().partition("?")[0].rstrip("/")
        if not path.startswith(hangs):
            status, body = PAGES[path]
            length = f"HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            writer.write(length.encode() + body.encode())
            await writer.drain()
        else:
            await reader.read()  # until the client gives up
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def with_reader(
    directory: Path,
    act: Callable[[Reader], Coroutine[Any, Any, Any]],
    *,
    hangs: str = "/hangs",
    limit_s: float = LONG_S,
) -> Any:
    async def run() -> Any:
        async with api_server(hangs) as port:
            access = Access(kubeconfig(directory, f"http://127.0.0.1:{port}"), limit_s=limit_s)
            async with connected(access) as reader:
                return await act(reader)

    return asyncio.run(run())


def kubeconfig(directory: Path, server: str, **user: str) -> Path:
    file = directory / "kubeconfig"
    contexts = [
        {"name": "here", "context": {"cluster": "c", "user": "u"}},
        {"name": "there", "context": {"cluster": "c", "user": "u", "namespace": "other"}},
    ]
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here", "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t0ken", **user}}],
    }  # fmt: skip
    file.write_text(json.dumps(config))
    return file


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/gone", ABSENT),
        ("/api/v1/forbidden", Read(problem="you have no permission to read this")),
        ("/api/v1/broken", Read(problem="the API server answers 500: etcd is down")),
    ],
)
def test_answer_says_why_a_value_is_unknown(tmp_path: Path, path: str, expected: Read) -> None:
    assert with_reader(tmp_path, lambda reader: reader.get(path)) == expected


def test_answer_that_is_no_json_is_a_problem(tmp_path: Path) -> None:
    assert with_reader(tmp_path, lambda reader: reader.get("/api/v1/nonsense")).problem.startswith("no answer: ")


def test_items_of_a_list_have_their_kind(tmp_path: Path) -> None:
    read = with_reader(tmp_path, lambda reader: reader.list("/api/v1/pods"))
    assert read.items == [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}]


def test_page_of_a_pod_and_an_unreachable_pod_are_told_apart(tmp_path: Path) -> None:
    assert with_reader(tmp_path, lambda reader: reader.page("/api/v1/page")) == Read((503, "not started yet\n"))
    read = with_reader(tmp_path, lambda reader: reader.page("/api/v1/unreachable"))
    assert read.problem == f"the API server answers 503: {PAGES['/api/v1/unreachable'][1]}"


def test_page_of_a_pod_is_cut(tmp_path: Path) -> None:
    read = with_reader(tmp_path, lambda reader: reader.page("/api/v1/long"))
    assert read == Read((200, "x" * PAGE_LENGTH))


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/api/v1/forbidden", "cannot watch: you have no permission to read this"),
        ("/api/v1/broken", "cannot watch: the API server answers 500: etcd is down"),
    ],
)
def test_refused_watch_is_a_problem(tmp_path: Path, path: str, problem: str) -> None:
    async def watch(reader: Reader) -> list[str]:
        return [line async for line in reader.lines(path, watch="true")]

    with pytest.raises(Problem, match=f"^{problem}$"):
        with_reader(tmp_path, watch)


def test_list_without_the_right_to_a_kind_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> int:
        async with api_server("/hangs") as port:
            return await list_sources(Access(kubeconfig(tmp_path, f"http://127.0.0.1:{port}"), limit_s=LONG_S), "text")

    assert asyncio.run(run()) == 1
    assert capsys.readouterr() == ("", "Bs: you have no permission to read this\n")


def test_read_that_hangs_ends_and_leaves_time_for_others(tmp_path: Path) -> None:
    """10 s are for all reads together."""
    slow = with_reader(tmp_path, lambda reader: reader.get("/hangs"), limit_s=10)
    assert slow.problem == "no answer within 3.0 s"


def test_api_server_that_hangs_is_a_problem(tmp_path: Path) -> None:
    async def act(reader: Reader) -> None:
        raise AssertionError("it is not reached")

    with pytest.raises(Problem, match=r"the API server does not answer within 0\.2 s"):
        with_reader(tmp_path, act, hangs="/version", limit_s=0.4)


def test_missing_kubeconfig_and_context_are_problems_that_name_them(tmp_path: Path) -> None:
    async def connect(access: Access) -> None:
        async with connected(access):
            pass

    with pytest.raises(Problem, match=r"no kubeconfig could be read from .*/absent; write --kubeconfig FILE"):
        asyncio.run(connect(Access(tmp_path / "absent", limit_s=LONG_S)))
    file = kubeconfig(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(Problem, match="No such context nope; `kubectl config get-contexts` lists the contexts"):
        asyncio.run(connect(Access(file, "nope", limit_s=LONG_S)))
    with pytest.raises(Problem, match="cannot reach the cluster"):
        asyncio.run(connect(Access(file, limit_s=LONG_S)))


def test_namespace_is_that_of_the_chosen_context(tmp_path: Path) -> None:
    async def namespaces() -> list[str]:
        async with api_server("/hangs") as port:
            file = kubeconfig(tmp_path, f"http://127.0.0.1:{port}")
            found = []
            for context, namespace in ((None, None), ("there", None), ("there", "mine")):
                async with connected(Access(file, context, namespace, LONG_S)) as reader:
                    found.append(reader.namespace)
            return found

    assert asyncio.run(namespaces()) == ["default", "other", "mine"]


def test_no_file_with_a_key_is_left_behind(tmp_path: Path) -> None:
    """kr8s writes the keys of a kubeconfig into the directory for temporary files, and does not delete them."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    data = {"client-key-data": "-----KEY-----", "client-certificate-data": "-----CERTIFICATE-----"}
    file = kubeconfig(tmp_path, "https://127.0.0.1:1", **data)
    command = [sys.executable, "-m", "sources_cli", "list", "--kubeconfig", str(file)]
    environ = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=110, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sources: cannot reach the cluster: ")
    assert list(temporary.iterdir()) == []

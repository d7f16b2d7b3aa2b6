"""Reads from the API server with the user's kubeconfig. A read never fails: its answer says why a value is unknown."""

from __future__ import annotations

import asyncio
import json
import tempfile
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapter.contract.formats import Json, public_url
from hooks.names import get_in
from sources_cli.cluster.finding import ABSENT, Read
from sources_cli.problem import Problem

METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"  # without the content of a Secret
TEXT = "text/plain,*/*"
PAGE_LENGTH = 1 << 20  # characters of a log or of a page of a pod, which may answer anything


@dataclass(frozen=True)
class Access:
    """How to reach the cluster, as kubectl's options of the same names. ``limit_s``: for all reads together."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None
    limit_s: float = 4.0


class Reader:
    def __init__(self, api: Any, access: Access, deadline: float) -> None:
        """``api``: of kr8s. ``deadline``: a time of the event loop's clock."""
        self._api = api
        self._deadline = deadline
        self._longest_s = access.limit_s * 0.3  # of one read, so that one that hangs leaves time for the others
        self.namespace = access.namespace or _namespace(api)

    async def get(self, path: str, accept: str = "application/json", **query: str) -> Read:
        """The JSON value of ``path``."""
        answer = await self._send("GET", path, accept, query)
        return Read(answer.value[1]) if answer.value else answer

    async def list(self, path: str, **query: str) -> Read:
        """The objects of a list. A kind that the cluster does not serve has none."""
        answer = await self.get(path, **query)
        if answer.problem:
            return answer
        listed = get_in(answer.value, "items") or []
        of = {
            "apiVersion": get_in(answer.value, "apiVersion"),
            "kind": str(get_in(answer.value, "kind"))[: -len("List")],
        }
        return Read([{**of, **one} for one in listed])

    async def page(self, path: str, **query: str) -> Read:
        """The status and the text of a log, or of a page of a pod."""
        return await self._send("GET", path, TEXT, query)

    async def create(self, path: str, body: Json) -> Read:
        """The answer to a question that is asked with POST, such as an access review. Nothing is stored."""
        answer = await self._send("POST", path, "application/json", {}, json.dumps(body))
        return Read(answer.value[1]) if answer.value else answer

    async def lines(self, path: str, **query: str) -> AsyncIterator[str]:
        """The lines of a watch, until the API server ends it. Raises ``Problem`` if it refuses the watch."""
        options = {"params": query, "timeout": None, "raise_for_status": False}
        async with self._call("GET", path, stream=True, **options) as response:
            if not response.is_success:
                await response.aread()
                raise Problem(f"cannot watch: {_status_problem(response.status_code, _refusal(response.text))}")
            async for line in response.aiter_lines():
                yield line

    def _call(self, method: str, path: str, **options: Any) -> Any:
        """kr8s joins the parts of a path with slashes. Its rule for the first part allows the address of the server."""
        start, _, end = path.rpartition("/")
        base = f"{self._api.auth.server.rstrip('/')}{start}"
        return self._api.call_api(method, version="", base=base, url=end, **options)

    async def _send(
        self, method: str, path: str, accept: str, query: Mapping[str, str], body: str | None = None
    ) -> Read:
        left_s = max(0.0, min(self._longest_s, self._deadline - asyncio.get_running_loop().time()))
        try:
            async with asyncio.timeout(left_s):
                return await self._answer(method, path, accept, query, body)
        except TimeoutError:
            return Read(problem=f"no answer within {left_s:.1f} s")
        except Exception as error:  # of httpx, kr8s, or of an answer that is not JSON
            return Read(problem=f"no answer: {_told(error)}")

    async def _answer(self, method: str, path: str, accept: str, query: Mapping[str, str], body: str | None) -> Read:
        options = {"params": query, "content": body, "headers": {"Accept": accept}, "raise_for_status": False}
        async with self._call(method, path, **options) as response:
            text = response.text
        status, refused = response.status_code, _refusal(text)
        if accept == TEXT and not refused:
            return Read((status, text[:PAGE_LENGTH]))
        if response.is_success:
            return Read((status, json.loads(text)))
        if status == 404 and accept != TEXT:
            return ABSENT
        return Read(problem=_status_problem(status, refused))


def _status_problem(status: int, refused: str) -> str:
    if status == 403:
        return "you have no permission to read this"
    if status == 401:
        return "your credentials are refused"
    return f"the API server answers {status}{f': {refused}' if refused else ''}"


def _refusal(text: str) -> str:
    """The message of the API server, instead of the answer of a pod or an object; empty if there is none."""
    if text.lower().startswith("error trying to reach service"):
        return " ".join(text.split())
    try:
        value = json.loads(text)
    except ValueError:
        return ""
    return str(value.get("message") or "no message") if get_in(value, "kind") == "Status" else ""


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Reader]:
    """Raises ``Problem`` if there is no usable kubeconfig, or no API server answers in time."""
    import kr8s.asyncio  # before the clock starts: this takes a moment

    loop = asyncio.get_running_loop()
    loop.set_default_executor(_Lookups())
    deadline = loop.time() + access.limit_s
    try:
        async with asyncio.timeout(access.limit_s / 2):
            api = await _connect(access, kr8s.asyncio.api)
    except TimeoutError:
        raise Problem(f"the API server does not answer within {access.limit_s / 2:.1f} s") from None
    except Exception as error:  # kr8s raises ValueError, KeyError, its own errors, and those of httpx, ssl and yaml
        raise Problem(f"cannot reach the cluster: {_told(error)}{_hint(access, error)}") from None
    try:
        yield Reader(api, access, deadline)
    finally:
        await api._session.aclose()  # kr8s has no public way to close its connections


class _Lookups(ThreadPoolExecutor):
    """The threads that look up host names. The end of the event loop does not wait for them."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        super().shutdown(wait=False, cancel_futures=True)


async def _connect(access: Access, connect: Callable[..., Awaitable[Any]]) -> Any:
    """kr8s leaves files with the keys of the kubeconfig in the directory for temporary files. So it gets its own."""
    kubeconfig = str(access.kubeconfig) if access.kubeconfig else None
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about versions of Kubernetes that are newer than kr8s
        before, tempfile.tempdir = tempfile.tempdir, directory
        try:
            return await connect(kubeconfig=kubeconfig, context=access.context, serviceaccount=None)
        finally:
            tempfile.tempdir = before


def _namespace(api: Any) -> str:
    """That of the context. kr8s takes it from the current context, also if another one is chosen."""
    try:
        return str(api.auth.kubeconfig.get_context(api.auth.active_context).get("namespace") or "default")
    except (AttributeError, ValueError):  # inside a pod, there is no kubeconfig
        return str(api.auth.namespace or "default")


def _told(error: Exception) -> str:
    """The error on one line, without addresses that hold a password."""
    text = " ".join(public_url(word) if "://" in word else word for word in str(error).split())
    return text or type(error).__name__


def _hint(access: Access, error: Exception) -> str:
    if "credentials" in str(error):
        where = f"{access.kubeconfig}" if access.kubeconfig else "$KUBECONFIG, else ~/.kube/config"
        return f"; no kubeconfig could be read from {where}; write --kubeconfig FILE"
    if "context" in str(error):
        return "; `kubectl config get-contexts` lists the contexts"
    return ""

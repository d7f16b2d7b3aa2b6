"""A small Kubernetes API client for tests. Objects are dictionaries. A failed wait shows the last value it read."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx2

from adapter.contract.kind_names import plural
from tests.deadline import DEADLINE_S

Object = dict[str, Any]
CLUSTER_SCOPED = frozenset(
    (
        "Namespace", "Node", "PersistentVolume", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition",
        "CompositeController", "PriorityClass", "SelfSubjectRulesReview", "SubjectAccessReview",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    )
)  # fmt: skip


class ApiError(Exception):
    """A response other than 2xx. The text is the API server's message; ``causes`` are its details, one per field."""

    def __init__(self, status: int, message: str, causes: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.causes = causes


class NotFoundError(ApiError):
    """404, or no response (status 0)."""


class Api:
    def __init__(self, url: str, token: str = "", as_user: str = "") -> None:
        """``token`` is empty for `kubectl proxy`, which adds its own. ``as_user``: the user to impersonate."""
        named = {"Authorization": token and f"Bearer {token}", "Impersonate-User": as_user}
        headers = {name: value for name, value in named.items() if value}
        self._client = httpx2.Client(base_url=url, headers=headers, verify=False, trust_env=False, timeout=DEADLINE_S)

    def close(self) -> None:
        self._client.close()

    def ready(self) -> bool:
        try:
            return self._client.get("/readyz").is_success
        except httpx2.TransportError:
            return False

    def get(self, api_version: str, resource: str, name: str, namespace: str | None = None) -> Object:
        return self._send("GET", f"{_path(api_version, resource, namespace)}/{name}")

    def find(self, api_version: str, resource: str, name: str, namespace: str | None = None) -> Object | None:
        try:
            return self.get(api_version, resource, name, namespace)
        except NotFoundError:
            return None

    def list(self, api_version: str, resource: str, namespace: str | None = None, **query: str) -> list[Object]:
        return list(self._send("GET", _path(api_version, resource, namespace), query=query)["items"])

    def count(self, api_version: str, resource: str, namespace: str | None = None) -> int:
        """How many objects there are."""
        page = self._send("GET", _path(api_version, resource, namespace), query={"limit": "1"})
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))

    def create(self, document: Object, *, dry_run: bool = False) -> Object:
        """Strict: an unknown or repeated field is an error."""
        query = {"fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._send("POST", _path_of(document), document, query)

    def apply(self, document: Object, *, manager: str = "tests") -> Object:
        """Server-side apply."""
        path = f"{_path_of(document)}/{document['metadata']['name']}"
        query = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict"}
        return self._send("PATCH", path, document, query, content_type="application/apply-patch+yaml")

    def replace(self, document: Object, subresource: str = "") -> Object:
        return self._send("PUT", f"{_path_of(document)}/{document['metadata']['name']}{subresource}", document)

    def patch(
        self, api_version: str, resource: str, name: str, patch: Object, namespace: str | None = None, sub: str = ""
    ) -> Object:
        """Send a merge patch. ``sub``: a subresource such as ``/status``."""
        path = f"{_path(api_version, resource, namespace)}/{name}{sub}"
        return self._send("PATCH", path, patch, content_type="application/merge-patch+json")

    def delete(self, api_version: str, resource: str, name: str, namespace: str | None = None, **options: Any) -> None:
        """Delete the object if it exists."""
        with contextlib.suppress(NotFoundError):
            self._send("DELETE", f"{_path(api_version, resource, namespace)}/{name}", options or None)

    def serve(self, crd: Object) -> None:
        """Apply a CustomResourceDefinition and wait until clients can find and use its resource."""
        self.apply(crd)
        self.wait_until_served(crd)

    def wait_until_served(self, *crds: Object) -> None:
        """Wait until the API server lists the resources for clients that look for kinds, and answers requests."""
        wanted = {(crd["spec"]["group"], crd["spec"]["names"]["plural"]) for crd in crds}
        eventually(self._discovered, lambda found: found >= wanted, f"{wanted} are listed")
        for crd in crds:
            api_version = f"{crd['spec']['group']}/{crd['spec']['versions'][0]['name']}"
            path = _path(api_version, crd["spec"]["names"]["plural"], None)
            eventually(lambda path=path: self._client.get(path).status_code, lambda code: code == 200, f"{path}: 200")

    def _discovered(self) -> set[tuple[str, str]]:
        """Group and plural of each resource that the API server lists."""
        headers = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
        groups = self._client.get("/apis", headers=headers).json()["items"]
        return {
            (group["metadata"]["name"], resource["resource"])
            for group in groups
            for version in group["versions"]
            for resource in version.get("resources", [])
        }

    def token(self, account: str, namespace: str) -> str:
        """A token of a ServiceAccount, valid for one day."""
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}}
        path = f"{_path('v1', 'serviceaccounts', namespace)}/{account}/token"
        return str(self._send("POST", path, body)["status"]["token"])

    @contextlib.contextmanager
    def watch(self, api_version: str, resource: str, namespace: str) -> Iterator[list[Object]]:
        """Every version of every object from now on, in order. The list grows while the context is open."""
        path = _path(api_version, resource, namespace)
        start = self._send("GET", path)["metadata"]["resourceVersion"]
        seen: list[Object] = []
        query = {"watch": "true", "resourceVersion": start, "timeoutSeconds": "3600"}
        with self._client.stream("GET", path, params=query, timeout=None) as response:
            thread = threading.Thread(target=_collect, args=(response, seen), daemon=True)
            thread.start()
            try:
                yield seen
            finally:  # closing the response alone does not wake the reading thread
                response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
                thread.join(10)

    def _send(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        content = None if body is None else json.dumps(body, ensure_ascii=False)
        headers = {"Content-Type": content_type}
        try:
            response = self._client.request(method, path, content=content, headers=headers, params=query)
        except httpx2.TransportError as error:
            raise NotFoundError(0, str(error)) from None
        answer = _json(response)
        if response.is_success:
            return answer
        message = str(answer.get("message") or response.text)
        if "storage is (re)initializing" in message:  # for a moment after a CRD changed; clients must retry
            time.sleep(0.1)
            return self._send(method, path, body, query, content_type)
        causes = [
            f"{cause.get('field')}: {cause['message']}" for cause in (answer.get("details") or {}).get("causes", [])
        ]
        raise (NotFoundError if response.status_code == 404 else ApiError)(response.status_code, message, causes)


def _json(response: httpx2.Response) -> Object:
    """Empty if the body is not JSON, as in the 404 response for an unknown API group."""
    try:
        return dict(response.json())
    except ValueError:
        return {}


def _collect(response: httpx2.Response, seen: list[Object]) -> None:
    with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError):
        for line in response.iter_lines():
            seen.append(json.loads(line)["object"])


def eventually(
    read: Callable[[], Any],
    wanted: Callable[[Any], Any],
    what: str,
    *,
    deadline_s: float = DEADLINE_S,
    details: Callable[[], str] = str,
) -> Any:
    """Call ``read`` until ``wanted`` accepts its value; return the value.

    Raises AssertionError with ``what``, the last value and the text of ``details`` after ``deadline_s``.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        value = read()
        if wanted(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {deadline_s:.0f} s; last seen: {_short(value)}\n{details()}")
        time.sleep(0.05)


def _path_of(document: Object) -> str:
    kind = document["kind"]
    namespace = None if kind in CLUSTER_SCOPED else document["metadata"].get("namespace", "default")
    resource = {"NetworkPolicy": "networkpolicies"}.get(kind) or plural(kind)
    return _path(document["apiVersion"], resource, namespace)


def _path(api_version: str, resource: str, namespace: str | None) -> str:
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    return f"{root}/namespaces/{namespace}/{resource}" if namespace else f"{root}/{resource}"


def _short(value: Any) -> str:
    text = json.dumps(value, indent=1, default=str) if isinstance(value, dict | list) else repr(value)
    return text if len(text) < 4000 else text[:4000] + " …"

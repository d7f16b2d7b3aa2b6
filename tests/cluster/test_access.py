"""RBAC of sources: the observer role, and the rules added to the built-in roles view, edit and admin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.access import (
    AUTHORIZATION,
    SECRETS,
    Resource,
    create_account,
    is_allowed,
    user_name,
    wait_until_allowed,
)
from tests.cluster.api import Api, ApiError
from tests.cluster.local_cluster import KIND, SOURCES
from tests.cluster.namespace import SourceNamespace

RESOURCE: Resource = (KIND.group, KIND.plural, "")
STATUS: Resource = (KIND.group, KIND.plural, "status")
READ, WRITE = ("get", "list", "watch"), ("create", "update", "patch", "delete", "deletecollection")


@pytest.fixture
def observer(ns: SourceNamespace) -> Iterator[Api]:
    """An API client that impersonates an observer."""
    account = create_account(ns, f"{KIND.plural}.{KIND.group}-observer")
    wait_until_allowed(ns, account, "list", RESOURCE)
    api = Api(ns.cluster.plane.url, "admin-token", as_user=user_name(ns, account))
    yield api
    api.close()


def test_observer_role_grants_only_reading_sources(ns: SourceNamespace, observer: Api) -> None:
    ns.source()
    assert [source["metadata"]["name"] for source in observer.list(*SOURCES, ns.name)] == ["hello"]
    review = {"apiVersion": AUTHORIZATION, "kind": "SelfSubjectRulesReview", "metadata": {}}
    granted = observer.create({**review, "spec": {"namespace": ns.name}})["status"]["resourceRules"]
    about_itself = {"authorization.k8s.io", "authentication.k8s.io"}  # open to every user
    others = [rule for rule in granted if not about_itself & {*rule["apiGroups"]}]
    assert others == [{"verbs": list(READ), "apiGroups": [KIND.group], "resources": [KIND.plural]}]


def test_observer_requests_beyond_reading_sources_are_forbidden(ns: SourceNamespace, observer: Api) -> None:
    source = ns.source()
    for forbidden in (
        lambda: observer.list("v1", "secrets", ns.name),
        lambda: observer.list("v1", "pods", ns.name),
        lambda: observer.patch(*SOURCES, "hello", {"spec": {"interval": "1s"}}, ns.name),
        lambda: observer.replace(source, "/status"),
        lambda: observer.delete(*SOURCES, "hello", ns.name),
    ):
        with pytest.raises(ApiError, match="is forbidden") as refusal:
            forbidden()
        assert refusal.value.status == 403


@pytest.mark.parametrize(
    ("role", "granted", "refused"),
    [
        pytest.param(
            "view", {RESOURCE: READ, STATUS: READ}, {RESOURCE: WRITE, STATUS: WRITE, SECRETS: READ}, id="view"
        ),
        pytest.param("edit", {RESOURCE: READ + WRITE, STATUS: READ}, {STATUS: WRITE}, id="edit"),
        pytest.param("admin", {RESOURCE: READ + WRITE, STATUS: READ}, {STATUS: WRITE}, id="admin"),
    ],
)
def test_view_edit_and_admin_roles_cover_sources(
    ns: SourceNamespace, role: str, granted: dict[Resource, tuple[str, ...]], refused: dict[Resource, tuple[str, ...]]
) -> None:
    account = create_account(ns, role)
    for what, verbs in granted.items():
        for verb in verbs:
            wait_until_allowed(ns, account, verb, what)
    assert [
        (verb, what) for what, verbs in refused.items() for verb in verbs if is_allowed(ns, account, verb, what)
    ] == []

"""RBAC of sources: the observer role, and the rules added to the built-in roles view, edit and admin."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.access import AUTHORIZATION, SECRETS, What, bound, may, may_at_last, user
from tests.cluster.api import Api, ApiError
from tests.cluster.world import KIND, SOURCES, Home

RESOURCE: What = (KIND.group, KIND.plural, "")
STATUS: What = (KIND.group, KIND.plural, "status")
READ, WRITE = ("get", "list", "watch"), ("create", "update", "patch", "delete", "deletecollection")


@pytest.fixture
def observer(home: Home) -> Iterator[Api]:
    """An API client that impersonates an observer."""
    account = bound(home, f"{KIND.plural}.{KIND.group}-observer")
    may_at_last(home, account, "list", RESOURCE)
    api = Api(home.world.plane.url, "admin-token", as_user=user(home, account))
    yield api
    api.close()


def test_observer_role_grants_only_reading_sources(home: Home, observer: Api) -> None:
    home.source()
    assert [it["metadata"]["name"] for it in observer.list(*SOURCES, home.namespace)] == ["hello"]
    review = {"apiVersion": AUTHORIZATION, "kind": "SelfSubjectRulesReview", "metadata": {}}
    granted = observer.create({**review, "spec": {"namespace": home.namespace}})["status"]["resourceRules"]
    about_itself = {"authorization.k8s.io", "authentication.k8s.io"}  # open to every user
    others = [it for it in granted if not about_itself & {*it["apiGroups"]}]
    assert others == [{"verbs": list(READ), "apiGroups": [KIND.group], "resources": [KIND.plural]}]


def test_observer_requests_beyond_reading_sources_are_forbidden(home: Home, observer: Api) -> None:
    source = home.source()
    for forbidden in (
        lambda: observer.list("v1", "secrets", home.namespace),
        lambda: observer.list("v1", "pods", home.namespace),
        lambda: observer.patch(*SOURCES, "hello", {"spec": {"interval": "1s"}}, home.namespace),
        lambda: observer.replace(source, "/status"),
        lambda: observer.delete(*SOURCES, "hello", home.namespace),
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
    home: Home, role: str, granted: dict[What, tuple[str, ...]], refused: dict[What, tuple[str, ...]]
) -> None:
    account = bound(home, role)
    for what, verbs in granted.items():
        for verb in verbs:
            may_at_last(home, account, verb, what)
    assert [(verb, what) for what, verbs in refused.items() for verb in verbs if may(home, account, verb, what)] == []

"""Strategies for ``spec.sinkAuth``, and the credentials that an adapter must read from it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

names = st.sampled_from(["gateway", "a.b", "shop"])
keys = st.sampled_from(["key", "password", "id"])
references = st.builds(lambda name, key: {"secretKeyRef": {"name": name, "key": key}}, names, keys) | st.builds(
    lambda name, key: {"configMapKeyRef": {"name": name, "key": key}}, names, keys
)
header_names = st.sampled_from(["X-Api-Key", "x-team", "Cookie", "X.Y"])
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
_user = st.fixed_dictionaries({"username": st.sampled_from(["", "admin", "Jürgen"])}) | st.fixed_dictionaries(
    {"usernameFrom": references}
)
_client = st.fixed_dictionaries({"clientId": st.sampled_from(["c", "a b"])}) | st.fixed_dictionaries(
    {"clientIdFrom": references}
)
basics = st.builds(lambda user, password: {**user, "password": password}, _user, references)
oauth2s = st.builds(
    lambda client, rest: {**client, **rest},
    _client,
    st.fixed_dictionaries(
        {"tokenUrl": st.sampled_from(["http://id/token", "https://id.example:8443/t?x=1"]), "clientSecret": references},
        optional={
            "scopes": st.lists(st.sampled_from(["a", "b:c"]), max_size=3),
            "audience": st.sampled_from(["x", "https://api"]),
            "method": st.sampled_from(["client_secret_basic", "client_secret_post"]),
        },
    ),
)
_authorizations = (
    st.just({})
    | st.fixed_dictionaries({"basic": basics})
    | st.fixed_dictionaries({"oauth2": oauth2s})
    | st.fixed_dictionaries({"secretHeaders": st.fixed_dictionaries({"Authorization": references})})
)


@st.composite
def sink_auths(draw: st.DrawFn) -> dict[str, Any]:
    """Valid ones for an https sink."""
    auth: dict[str, Any] = dict(draw(_authorizations))
    if draw(st.booleans()):
        auth["headers"] = draw(st.dictionaries(header_names, values, max_size=3))
    if draw(st.booleans()):
        auth["secretHeaders"] = auth.get("secretHeaders", {}) | draw(
            st.dictionaries(header_names, references, max_size=3)
        )
    if draw(st.booleans()):
        auth["tls"] = {"secretName": draw(names)}
    return auth


def references_in(value: Any) -> int:
    """How many references a value has, at any depth."""
    if not isinstance(value, dict):
        return 0
    if value.keys() & {"secretKeyRef", "configMapKeyRef"}:
        return 1
    return sum(map(references_in, value.values()))


_broken_parts: dict[str, st.SearchStrategy[Any]] = {
    "headers": st.dictionaries(
        st.sampled_from(["Host", "content-type", "CE-id", "Te", "Team", "a b", "", "Authorization", "a", "A"]),
        st.sampled_from(["x", "", "a\nb", "é"]),
        max_size=2,
    ),
    "secretHeaders": st.dictionaries(st.sampled_from(["authorization", "X", "host"]), references, max_size=2),
    "tls": st.fixed_dictionaries({"secretName": st.sampled_from(["a", "A", "", "a.b", "a..b", "-a", "a" * 254])}),
    "basic": st.fixed_dictionaries(
        {},
        optional={
            "username": st.sampled_from(["a", "a:b", "a\tb", "", "é", "a" * 257]),
            "usernameFrom": references,
            "password": references | st.just({}),
        },
    ),
    "oauth2": st.fixed_dictionaries(
        {"tokenUrl": st.sampled_from(["http://h", "http://u@h", "h", ""]), "clientSecret": references},
        optional={
            "clientId": st.sampled_from(["a", "", "a\nb"]),
            "clientIdFrom": references,
            "scopes": st.lists(st.sampled_from(["a", "a b", '"', "é", ""]), max_size=2),
            "audience": st.sampled_from(["a", "", "a\x7f"]),
            "method": st.sampled_from(["client_secret_basic", "x"]),
        },
    ),
}
broken_sink_auths = st.fixed_dictionaries({}, optional=_broken_parts)

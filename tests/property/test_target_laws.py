"""The client of deliveries sends to a URL what httpx2 sends to it. Different on purpose: dots in paths stay."""

from __future__ import annotations

from urllib.parse import quote

import httpx2
from hypothesis import example, given
from hypothesis import strategies as st

from adapter.delivery.request import Target

ASCII = "".join(chr(code) for code in range(33, 127) if chr(code) not in "#?./")
PRINTABLE = st.sampled_from(ASCII) | st.characters(min_codepoint=160, exclude_categories=["C"])
ANY = st.text(PRINTABLE, max_size=8)
USERS = ANY.map(lambda text: quote(text, safe="!$&'()*+,;="))
HOSTS = st.sampled_from(
    ["sink", "A.example.", "a_b.c", "10.0.0.1", "[::1]", "bücher.example", "ÜBER.example", "日本.jp"]
)
PORTS = st.none() | st.integers(1, 65535) | st.sampled_from([80, 443])


@given(st.sampled_from(["http", "https"]), st.none() | st.tuples(USERS, USERS), HOSTS, PORTS,
       st.lists(ANY, max_size=3), st.none() | ANY.filter(bool))  # fmt: skip
@example("http", ("a", "b"), "sink", 81, [ASCII, "a%2Fb", "%zz%", "ü b"], f"{ASCII}%20=?/.")
def test_request_to_a_url_is_that_of_httpx2(
    scheme: str, user: tuple[str, str] | None, host: str, port: int | None, path: list[str], query: str | None
) -> None:
    authority = (f"{user[0]}:{user[1]}@" if user else "") + host + (f":{port}" if port else "")
    url = f"{scheme}://{authority}" + "".join(f"/{part}" for part in path) + (f"?{query}" if query else "")
    expected = httpx2.Request("POST", url)
    target = Target.of(url)
    lines = target.head.decode().split("\r\n")
    assert lines[0] == f"POST {expected.url.raw_path.decode()} HTTP/1.1"
    assert lines[1] == f"Host: {expected.headers['Host']}"
    default = 443 if target.is_https else 80
    assert (target.host, target.port) == (expected.url.raw_host.decode(), expected.url.port or default)
    if user and any(user):
        next(httpx2.BasicAuth(expected.url.username, expected.url.password).auth_flow(expected))
        assert dict(target.authorization) == {"Authorization": expected.headers["Authorization"]}

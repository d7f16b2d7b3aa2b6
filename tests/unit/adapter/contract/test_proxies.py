"""Which proxy a URL goes through, and what the variables may be."""

from __future__ import annotations

import pytest

from adapter.contract.declarations import EnvError
from adapter.contract.environment import AdapterEnv
from adapter.contract.proxies import Proxies, Proxy

ENVIRON = {"K_SINK": "http://h", "EVENT_SOURCE": "/a/b"}
HTTP, HTTPS = Proxy("plain.example.org", 3128), Proxy("tls.example.org", 80)


def proxies(no_proxy: str = "", domain: str = "cluster.local") -> Proxies:
    return Proxies.of("http://plain.example.org:3128", "http://tls.example.org", no_proxy, domain)


def read(**environ: str) -> Proxies:
    return AdapterEnv.from_environ(ENVIRON | environ).egress.proxies


def test_http_and_https_urls_have_their_own_proxies() -> None:
    assert proxies().proxy_for("sink.example.com", None, is_https=False) == HTTP
    assert proxies().proxy_for("sink.example.com", None, is_https=True) == HTTPS
    assert read(HTTPS_PROXY="http://p:1").proxy_for("sink.example.com", None, is_https=False) is None


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "sink.localhost",
        "sink",
        "SINK.",
        "sink.default.svc",
        "sink.default.svc.",
        "sink.default.svc.cluster.local",
        "sink.default.svc.corp.example",
        "10-1-2-3.default.pod.corp.example",
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
    ],
)
def test_names_of_the_cluster_and_of_this_machine_need_no_proxy(host: str) -> None:
    assert proxies(domain="corp.example").proxy_for(host, 80, is_https=False) is None


@pytest.mark.parametrize("host", ["api.corp.example", "svc.example.com", "mysvc.com", "10.0.0.1", "fd00::1"])
def test_other_hosts_go_through_the_proxy(host: str) -> None:
    assert proxies(domain="corp.example").proxy_for(host, 80, is_https=False) == HTTP


@pytest.mark.parametrize(
    ("no_proxy", "direct", "proxied"),
    [
        pytest.param("*", ["any.example.com", "8.8.8.8"], [], id="all"),
        pytest.param(
            "example.com",
            ["example.com", "EXAMPLE.com.", "a.b.example.com"],
            ["myexample.com", "example.org"],
            id="name",
        ),
        pytest.param("example.com.,10.1.2.3.:80", ["example.com", "a.example.com.", "10.1.2.3"], ["b.com"], id="dot"),
        pytest.param(".example.com", ["a.example.com"], ["example.com", "a.example.com.org"], id="suffix"),
        pytest.param("*.example.com", ["a.example.com"], ["example.com"], id="star-suffix"),
        pytest.param(" a.com , b.com,,", ["a.com", "b.com"], ["c.com"], id="spaces"),
        pytest.param("10.0.0.0/8", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "10.example.com"], id="network"),
        pytest.param("10.1.2.3/8", ["10.255.0.1"], ["11.0.0.1"], id="network-with-host-bits"),
        pytest.param("fd00::/8", ["fd12::1"], ["fe00::1", "10.0.0.1"], id="ipv6-network"),
        pytest.param("10.1.2.3", ["10.1.2.3"], ["10.1.2.4", "a.10.1.2.3"], id="address"),
        pytest.param("fd00::1", ["fd00::1", "fd00:0::1"], ["fd00::2"], id="ipv6-address"),
        pytest.param(
            "example.com:8080,1.1.1.1:8080,[fd00::1]:8080", [], ["example.com", "1.1.1.1", "fd00::1"], id="port"
        ),
        pytest.param(
            "example.com:80,1.1.1.1:80,[fd00::1]:80", ["example.com", "1.1.1.1", "fd00::1"], [], id="same-port"
        ),
    ],
)
def test_no_proxy_lists_what_is_reached_directly(no_proxy: str, direct: list[str], proxied: list[str]) -> None:
    found = {host: proxies(no_proxy).proxy_for(host, None, is_https=False) for host in direct + proxied}
    assert found == dict.fromkeys(direct) | dict.fromkeys(proxied, HTTP)


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({"HTTP_PROXY": "http://p:1"}, "p:1"),
        ({"http_proxy": "http://p:1"}, "p:1"),
        ({"HTTP_PROXY": "http://p:1", "http_proxy": "http://q:1"}, "p:1"),
        ({"HTTP_PROXY": "", "http_proxy": "http://q:1"}, "q:1"),
        ({"HTTP_PROXY": "p:1"}, "p:1"),
        ({"HTTP_PROXY": "HTTP://p/"}, "p:80"),
        ({"HTTP_PROXY": "http://[fd00::1]:3128"}, "[fd00::1]:3128"),
        ({"HTTP_PROXY": "http://p:1", "no_proxy": "example.com"}, "None"),
        ({"ALL_PROXY": "http://p:1"}, "None"),
    ],
)
def test_variables_are_read_in_upper_case_first(environ: dict[str, str], proxy: str) -> None:
    assert str(read(**environ).proxy_for("a.example.com", 80, is_https=False)) == proxy


@pytest.mark.parametrize("url", ["http://user:p%40ss@p:3128", "user:p%40ss@p:3128"])
def test_user_and_password_become_a_header_and_are_hidden(url: str) -> None:
    env = AdapterEnv.from_environ(ENVIRON | {"https_proxy": url})
    proxy = env.egress.proxies.https
    assert proxy
    assert proxy.authorization == "Basic dXNlcjpwQHNz"
    assert "pass" not in f"{proxy} {proxy!r}"
    assert {"p@ss", "p%40ss", "dXNlcjpwQHNz"} <= set(env.secret_texts())


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param(
            {"HTTP_PROXY": "http://"}, "HTTP_PROXY is not valid: write http://HOST:PORT or http://USER", id="host"
        ),
        pytest.param({"http_proxy": "http://p:x"}, "http_proxy is not valid: write http://HOST:PORT", id="port"),
        pytest.param({"HTTP_PROXY": "http://u:a#b@p:1"}, "HTTP_PROXY is not valid: write", id="password"),
        pytest.param({"HTTP_PROXY": "http://u:80/b@p:1"}, "HTTP_PROXY is not valid: write", id="slash"),
        pytest.param({"HTTP_PROXY": "http://[::1"}, "HTTP_PROXY is not valid: write", id="bracket"),
        pytest.param({"HTTP_PROXY": "http://prøxy:1"}, "HTTP_PROXY is not valid: write", id="not-ascii"),
        pytest.param(
            {"HTTPS_PROXY": "https://p:1"},
            "HTTPS_PROXY is not valid: write http://HOST:PORT; https and socks proxies are not supported",
            id="https",
        ),
        pytest.param(
            {"HTTPS_PROXY": "socks5://p:1"}, "HTTPS_PROXY is not valid: write http://HOST:PORT; https and", id="socks"
        ),
        pytest.param(
            {"NO_PROXY": "a.com,10.0.0.0/33"},
            'NO_PROXY is "a.com,10.0.0.0/33": "10.0.0.0/33" is not a host',
            id="network",
        ),
        pytest.param(
            {"no_proxy": "http://a.com"}, 'no_proxy is "http://a.com": "http://a.com" is not a host', id="url"
        ),
        pytest.param({"NO_PROXY": "*."}, 'NO_PROXY is "*.": "*." is not a host', id="star-dot"),
        pytest.param({"CLUSTER_DOMAIN": "a b"}, 'CLUSTER_DOMAIN is "a b": write a DNS domain', id="domain"),
    ],
)
def test_invalid_proxy_variable_is_an_error_that_says_what_to_write(environ: dict[str, str], message: str) -> None:
    with pytest.raises(EnvError) as caught:
        AdapterEnv.from_environ(ENVIRON | environ)
    assert str(caught.value).startswith(message)

"""The octets of a request: request line, headers, and what a URL becomes."""

from __future__ import annotations

import pytest

from adapter import __version__
from adapter.delivery.request import Target


def lines(url: str) -> list[str]:
    return Target.of(url).request({}, b"").decode().split("\r\n")


def test_request_has_these_octets() -> None:
    target = Target.of("http://user:p%40ss@Sink:81/in?q=1#part")
    assert (target.host, target.port, target.is_https) == ("sink", 81, False)
    head = (
        "POST /in?q=1 HTTP/1.1",
        "Host: sink:81",
        "Accept: */*",
        "Accept-Encoding: identity",
        f"User-Agent: sample-source/{__version__}",
        "Content-Type: text/plain",
        "ce-id: grün",
        "Authorization: Basic dXNlcjpwQHNz",
        "Content-Length: 2",
        "",
        "",
    )
    assert target.request({"Content-Type": "text/plain", "ce-id": "grün"}, b"\0\xff") == (
        "\r\n".join(head).encode() + b"\0\xff"
    )


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("", "/"),
        ("/", "/"),
        ("?q=1", "/?q=1"),
        ("/a%2Fb/c+d", "/a%2Fb/c+d"),
        ("/a%7Eb%2e%2f", "/a%7Eb%2e%2f"),
        ("/a%c3%bc", "/a%c3%bc"),
        ("/ü?x=ü&y=%zz", "/%C3%BC?x=%C3%BC&y=%zz"),
        ("/100%?z=100%", "/100%?z=100%"),
        ("/x?a=b+c&d=%20&e='\"<>[]{}|\\^`", "/x?a=b+c&d=%20&e='%22%3C%3E[]{}|\\^`"),
        ('/{}<>"`|\\^[]', "/%7B%7D%3C%3E%22%60|\\^[]"),
        ("/a;b=c,d:e@f!$&'()*", "/a;b=c,d:e@f!$&'()*"),
        ("//double//x", "//double//x"),
        ("/a/../b", "/a/../b"),
        ("/a#part", "/a"),
    ],
)
def test_path_and_query_are_sent_as_they_are_written(written: str, sent: str) -> None:
    assert lines(f"http://sink{written}")[0] == f"POST {sent} HTTP/1.1"


@pytest.mark.parametrize(
    ("url", "host", "port", "sent"),
    [
        ("http://sink", "sink", 80, "sink"),
        ("https://sink", "sink", 443, "sink"),
        ("HTTP://SINK:80/", "sink", 80, "sink"),
        ("https://sink:443/", "sink", 443, "sink"),
        ("http://sink:443/", "sink", 443, "sink:443"),
        ("http://[::1]:81/", "::1", 81, "[::1]:81"),
        ("http://[::ffff:1.2.3.4]/", "::ffff:1.2.3.4", 80, "[::ffff:1.2.3.4]"),
        ("http://a_b.example/", "a_b.example", 80, "a_b.example"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
        ("http://faß.example/", "xn--fa-hia.example", 80, "xn--fa-hia.example"),
        ("http://BÜCHER.example/", "xn--bcher-kva.example", 80, "xn--bcher-kva.example"),
    ],
)
def test_host_is_lower_case_ascii_without_the_default_port(url: str, host: str, port: int, sent: str) -> None:
    target = Target.of(url)
    assert (target.host, target.port) == (host, port)
    assert lines(url)[1] == f"Host: {sent}"


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        ("user:p%40ss", "dXNlcjpwQHNz"),
        ("user", "dXNlcjo="),
        (":pw", "OnB3"),
        ("us%3Aer:p:w", "dXM6ZXI6cDp3"),
        ("üser:pä", "w7xzZXI6cMOk"),
    ],
)
def test_user_and_password_of_the_url_replace_the_token(user: str, sent: str) -> None:
    request = Target.of(f"http://{user}@sink/").request({"Authorization": "Bearer token"}, b"")
    assert request.count(b"Authorization: ") == 1
    assert f"\r\nAuthorization: Basic {sent}\r\n".encode() in request
    assert b"Host: sink\r\n" in request


@pytest.mark.parametrize("url", ["http://", "http:///x", "ftp://sink/", "sink", "http://[::1", "http://☃.net/",
                                 "http://sink:99999/", "http://sink:x/", "http://sink:0/", "http://a b/", "http://a<b/",
                                 "http://a\\b/", "http://sink/a\nb", "http://si\tnk/", "http://sink/\0",
                                 "http://sink/\x7f", "\rhttp://sink/"])  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the channel writes the text
        Target.of(url)


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "a\rb", "a\0b"])
def test_header_with_a_line_break_is_refused(text: str) -> None:
    for headers in ({"ce-id": text}, {text: "1"}):
        with pytest.raises(ValueError, match="a header has a line break"):
            Target.of("http://sink").request(headers, b"")

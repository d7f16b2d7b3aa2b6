"""The bytes of the requests to one URL. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from adapter import __version__
from adapter.contract.proxies import NO_PROXIES, Proxies, Proxy, authority

# "identity", because the body of a response is kept as it arrives.
HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": f"sample-source/{__version__}"}
_PATH_SAFE = "!$%&'()*+,/:;=@[]\\^|~-._"  # RFC 3986, and what some servers accept besides
_QUERY_SAFE = _PATH_SAFE + "?`{}"
_HOST = re.compile(r"[\w!$%&'()*+,.:;=~-]+", re.ASCII)  # a name or an address (RFC 3986)
_CONTROL = re.compile(r"[\0-\x1f\x7f]")


@dataclass(frozen=True)
class Target:
    """A URL. ``host``: an address, or a name in ASCII; ``head``: what all requests begin with.

    ``proxy``: where its requests go; None: directly to the host. A proxy for http reads the head, so the head has the
    whole URL and the authorization for the proxy. A proxy for https passes on bytes that it cannot read.
    """

    host: str
    port: int
    is_https: bool
    head: bytes
    authorization: Mapping[str, str]  # of the user and password in the URL
    proxy: Proxy | None = None

    @classmethod
    def of(cls, url: str, proxies: Proxies = NO_PROXIES) -> Target:
        """``ValueError`` if the URL is not an absolute http(s) URL.

        Path and query are sent as they are written. Only characters that no URL may contain are encoded.
        """
        parts = urlsplit(url)
        host, is_https = _ascii(parts.hostname or ""), parts.scheme == "https"
        if not _HOST.fullmatch(host) or parts.scheme not in ("http", "https"):
            raise ValueError(url)
        if parts.port == 0 or _CONTROL.search(url):  # urlsplit() would remove line breaks
            raise ValueError(url)
        port = parts.port or (443 if is_https else 80)
        proxy = proxies.proxy_for(host, port, is_https=is_https)
        head = _head(parts, host, None if is_https else proxy)
        return cls(host, port, is_https, head, _basic_authorization(parts), proxy)

    def request(self, headers: Mapping[str, str], body: bytes) -> bytes:
        """A POST request. ``ValueError`` if a header has a line break."""
        lines = [f"{name}: {text}" for name, text in {**headers, **self.authorization}.items()]
        written = "".join(lines)
        if "\r" in written or "\n" in written or "\0" in written:
            raise ValueError("a header has a line break")
        return self.head + "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    import idna  # takes a megabyte of memory, and few sinks need it

    return idna.encode(host).decode()


def _head(parts: SplitResult, host: str, proxy: Proxy | None) -> bytes:
    target = quote(parts.path, safe=_PATH_SAFE) or "/"
    if parts.query:
        target += f"?{quote(parts.query, safe=_QUERY_SAFE)}"
    default_port = 443 if parts.scheme == "https" else 80
    address = authority(host, parts.port or default_port).removesuffix(f":{default_port}")
    headers = {"Host": address, **HEADERS}
    if proxy:
        target = f"{parts.scheme}://{address}{target}"  # RFC 9112, section 3.2.2
        headers |= {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    lines = [f"POST {target} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _basic_authorization(parts: SplitResult) -> dict[str, str]:
    if not parts.username and not parts.password:
        return {}
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"}

"""The settings of the hook, from environment variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from adapter.contract import variables
from adapter.contract.declarations import Variable, declare, read_variable, reference_of, variables_of
from adapter.contract.egress import Egress, Network, declare_allowed_hosts, declare_denied_networks
from adapter.contract.formats import is_http_url
from adapter.contract.proxies import Proxies
from hooks.names import API_VERSION, is_dns_label, is_dns_subdomain

_SINK_KIND = re.compile(rf"{API_VERSION}/[A-Z][A-Za-z0-9]*", re.ASCII)
_BODY_SIZES = (64 * 1024, 256 * 1024 * 1024)
_LEVELS = ("debug", "info", "warning", "error")


def parse_sink_kinds(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of ``<apiVersion>/<Kind>``, without duplicates."""
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for kind in kinds:
        if not _SINK_KIND.fullmatch(kind):
            raise ValueError(f'"{kind}" is not <apiVersion>/<Kind>; write one like eventing.knative.dev/v1/Broker')
    return kinds


def parse_sink_namespaces(text: str) -> tuple[str, ...] | None:
    """Read ``all``, ``own`` or a list of namespaces. None: all; otherwise those beside that of the source."""
    namespaces = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if namespaces == ("all",):
        return None
    for namespace in namespaces:
        if namespace == "all" or not is_dns_label(namespace):
            raise ValueError(f'"{namespace}" is not a namespace; write all, own, or names of namespaces')
    return tuple(namespace for namespace in namespaces if namespace != "own")


def parse_bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("write true or false")
    return text == "true"


def _image(text: str) -> str:
    if not text or any(char.isspace() for char in text):
        raise ValueError("write the container image of the adapters")
    return text


def _config_map(text: str) -> str:
    if not is_dns_subdomain(text):
        raise ValueError("write the name of a ConfigMap with PEM certificates")
    return text


def _domain(text: str) -> str:
    if not is_dns_subdomain(text):
        raise ValueError("write a DNS domain like cluster.local")
    return text


def _namespace(text: str) -> str:
    if not is_dns_label(text):
        raise ValueError("write the name of a namespace")
    return text


def _pool_url(text: str) -> str:
    if not is_http_url(text.replace("{name}", "name")):
        raise ValueError("write an absolute http(s) URL like http://{name}.pools.svc.cluster.local:8090")
    return text


def _body_size(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and _BODY_SIZES[0] <= int(text) <= _BODY_SIZES[1]):
        raise ValueError(f"write a number of bytes from {_BODY_SIZES[0]} to {_BODY_SIZES[1]}")
    return int(text)


def _log_level(text: str) -> str:
    if text.lower() not in _LEVELS:
        raise ValueError(f"write one of {', '.join(_LEVELS)}")
    return text.lower()


_IMAGE = Variable("ADAPTER_IMAGE", "The image of the adapters.", "required", read=_image)
_SINK_KINDS = "The kinds that `sink.ref` may name: `<apiVersion>/<Kind>`, comma-separated."
_SINK_NAMESPACES = (
    "The namespaces that a sink may be in, beside that of its source: `all`, `own` (no other), or names, "
    "comma-separated."
)
_DIAGNOSE_PODS = "`true`: conditions show why a pod of the adapter does not run. Metacontroller then watches all pods."
_FROM_RESOLV_CONF = "the `svc.` search entry of `/etc/resolv.conf`, else `cluster.local`"
_TRUST_BUNDLE = "A ConfigMap with PEM certificates that adapters trust, if the namespace of the source has it."
_MAX_BODY_BYTES = (
    "The largest body of a request, in bytes. With `DIAGNOSE_PODS`, a request has 11 KB for each pod of a source. "
    "The hook needs 64 MiB of memory, and 25 times this size."
)
_HOST = (
    "The address to listen on. `::`: all addresses, of IPv4 and IPv6. `0.0.0.0`: all of IPv4. Or one, such as "
    "`127.0.0.1` or `::1`."
)
_TLS_DIR = "A directory with `tls.crt` and `tls.key`, PEM. `PORT` then speaks https, TLS 1.2 or newer."
_CLIENT_CA_FILE = "A PEM file with CAs. Callers of `PORT` then need a client certificate that one of them has signed."
_AUTH_TOKEN_FILE = (
    "A file with one token per line, each of at least 16 characters. Callers of `PORT` then need one of them: "
    "`Authorization: Bearer TOKEN`."
)
_NAMESPACE = "The namespace of the hook, in which SourcePools are."
_POOL_URL = "The URL of a pool. `{name}` stands for its name. `sources run` sets it."
_POOL_TOKEN_FILE = "A file with the token that the hook sends to pools, in its first line."
_MAX_POOL_BODY_BYTES = (
    "The largest body of a request to `/pool/sync`, in bytes: about 1,700 for each source of the pool. The hook needs "
    "3 times this size of memory in addition."
)
_HEALTH_PORT = "The port of `/healthz` and `/metrics`, plain http without credentials. 0: any free port."
_CONFIG_DIR = "A directory with `config-logging/<key>` and `config-observability/<key>`, ConfigMaps of Knative."


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings. The documentation lists them in this order."""

    adapter_image: str = field(metadata={"variable": _IMAGE})
    host: str = declare("::", "HOST", _HOST)
    port: int = declare(8080, "PORT", "The port that Metacontroller calls.", read=variables.port)
    health_port: int = declare(8081, "HEALTH_PORT", _HEALTH_PORT, read=variables.port_or_any)
    tls_dir: Path | None = declare(None, "TLS_DIR", _TLS_DIR, read=Path)  # noqa: RUF009 -- a Path is immutable
    client_ca_file: Path | None = declare(None, "CLIENT_CA_FILE", _CLIENT_CA_FILE, read=Path)  # noqa: RUF009 -- as above
    auth_token_file: Path | None = declare(None, "AUTH_TOKEN_FILE", _AUTH_TOKEN_FILE, read=Path)  # noqa: RUF009 -- as above
    sink_kinds: tuple[str, ...] = declare(
        ("v1/Service",), "SINK_KINDS", _SINK_KINDS, read=parse_sink_kinds, write=",".join
    )
    sink_namespaces: tuple[str, ...] | None = declare(
        None, "SINK_NAMESPACES", _SINK_NAMESPACES, "`all`", read=parse_sink_namespaces
    )
    cluster_domain: str = declare(
        "cluster.local", "CLUSTER_DOMAIN", "The DNS domain of the cluster.", _FROM_RESOLV_CONF, read=_domain
    )
    diagnose_pods: bool = declare(False, "DIAGNOSE_PODS", _DIAGNOSE_PODS, "`false`", read=parse_bool)
    trust_bundle: str | None = declare(None, "TRUST_BUNDLE", _TRUST_BUNDLE, read=_config_map)
    allowed_hosts: tuple[str, ...] = declare_allowed_hosts()
    denied_networks: tuple[Network, ...] = declare_denied_networks()
    config_dir: Path | None = declare(None, "CONFIG_DIR", _CONFIG_DIR, read=Path)  # noqa: RUF009 -- a Path is immutable
    max_body_bytes: int = declare(4 * 1024 * 1024, "MAX_BODY_BYTES", _MAX_BODY_BYTES, read=_body_size)
    namespace: str = declare("default", "NAMESPACE", _NAMESPACE, read=_namespace)
    pool_url: str | None = declare(
        None, "POOL_URL", _POOL_URL, "`http://{name}.NAMESPACE.svc.CLUSTER_DOMAIN:8090`", read=_pool_url
    )
    pool_token_file: Path | None = declare(None, "POOL_TOKEN_FILE", _POOL_TOKEN_FILE, read=Path)  # noqa: RUF009 -- as above
    max_pool_body_bytes: int = declare(4 * 1024 * 1024, "MAX_POOL_BODY_BYTES", _MAX_POOL_BODY_BYTES, read=_body_size)
    log_level: str = declare("info", "LOG_LEVEL", f"One of {', '.join(_LEVELS)}.", read=_log_level)

    @property
    def ports(self) -> dict[str, int]:
        """The variable of each port -> the port."""
        return {"PORT": self.port, "HEALTH_PORT": self.health_port}

    @cached_property
    def egress(self) -> Egress:
        """Where adapters may connect to. The proxies are not here: the pod has their variables."""
        return Egress(self.allowed_hosts, self.denied_networks, Proxies(cluster_domain=self.cluster_domain))


def reference() -> list[tuple[str, str, str]]:
    """Name, default and description of each setting, for the documentation."""
    return [(row.name, row.default, row.description) for row in reference_of(Settings)]


def read_settings(environ: Mapping[str, str], resolv_conf: str = "") -> Settings:
    """``EnvError`` names the first setting that is missing or invalid.

    ``resolv_conf``: the text of /etc/resolv.conf, used if CLUSTER_DOMAIN is not set.
    """
    values: dict[str, Any] = {}
    for attribute, variable, default in variables_of(Settings):
        text = environ.get(variable.name)
        if attribute == "cluster_domain":
            text = text or cluster_domain_from(resolv_conf)
        values[attribute] = read_variable(text, variable, default)
    return Settings(**values)


def cluster_domain_from(resolv_conf: str) -> str | None:
    """The domain in the first ``svc.…`` search entry, as in knative.dev/pkg ``network/domain.go``."""
    for line in resolv_conf.splitlines():
        words = line.split()
        if words[:1] == ["search"]:
            for word in words[1:]:
                if word.startswith("svc."):
                    return word.removeprefix("svc.").rstrip(".") or None
    return None

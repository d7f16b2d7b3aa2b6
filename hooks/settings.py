"""Environment -> frozen Settings. The README's settings table lists these fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_KIND = re.compile(r"(?:[a-z0-9.-]+/)?v[a-z0-9]+/[A-Z][A-Za-z0-9]*", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.ASCII)
_LEVELS = ("debug", "info", "warning", "error")


class SettingsError(ValueError):
    """One setting is not usable; the text is one line naming it, its value and what to write."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    adapter_image: str
    host: str = "0.0.0.0"
    port: int = 8080
    sink_kinds: tuple[str, ...] = ("v1/Service",)  # "<apiVersion>/<Kind>"
    cluster_domain: str = "cluster.local"
    diagnose_pods: bool = False
    trust_bundle: str | None = None
    config_dir: Path | None = None
    log_level: str = "info"


def read_settings(environ: Mapping[str, str], resolv_conf: str = "") -> Settings:
    """``resolv_conf``: the text of /etc/resolv.conf, asked where CLUSTER_DOMAIN is not set."""
    image = environ.get("ADAPTER_IMAGE", "")
    if not image or any(char.isspace() for char in image):
        raise SettingsError(f'ADAPTER_IMAGE is "{image}": write the image that every receive adapter runs')
    directory = environ.get("CONFIG_DIR", "")
    domain = environ.get("CLUSTER_DOMAIN") or cluster_domain_from(resolv_conf) or "cluster.local"
    return Settings(
        adapter_image=image,
        host=environ.get("HOST") or "0.0.0.0",
        port=_port(environ.get("PORT") or "8080"),
        sink_kinds=parse_sink_kinds(environ.get("SINK_KINDS") or "v1/Service"),
        cluster_domain=_cluster_domain(domain),
        diagnose_pods=parse_bool(environ.get("DIAGNOSE_PODS") or "false"),
        trust_bundle=_trust_bundle(environ.get("TRUST_BUNDLE") or ""),
        config_dir=Path(directory) if directory else None,
        log_level=_log_level(environ.get("LOG_LEVEL") or "info"),
    )


def cluster_domain_from(resolv_conf: str) -> str | None:
    """The cluster's domain from the first ``svc.…`` search entry; knative.dev/pkg ``network/domain.go``."""
    for line in resolv_conf.splitlines():
        words = line.split()
        if words[:1] == ["search"]:
            for word in words[1:]:
                if word.startswith("svc."):
                    return word.removeprefix("svc.").rstrip(".") or None
    return None


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise SettingsError(f'PORT is "{text}": write a port number from 1 to 65535')
    return int(text)


def parse_sink_kinds(text: str, name: str = "SINK_KINDS") -> tuple[str, ...]:
    """``<apiVersion>/<Kind>``, comma-separated; ``name``: what an error calls the list."""
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for kind in kinds:
        if not _KIND.fullmatch(kind):
            raise SettingsError(
                f'{name} holds "{kind}": write <apiVersion>/<Kind>, like eventing.knative.dev/v1/Broker'
            )
    return kinds


def parse_bool(text: str, name: str = "DIAGNOSE_PODS") -> bool:
    if text not in ("true", "false"):
        raise SettingsError(f'{name} is "{text}": write true or false')
    return text == "true"


def _trust_bundle(text: str) -> str | None:
    if text and not _DOMAIN.fullmatch(text):
        raise SettingsError(f'TRUST_BUNDLE is "{text}": write the name of a ConfigMap with PEM certificates')
    return text or None


def _cluster_domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text):
        raise SettingsError(f'CLUSTER_DOMAIN is "{text}": write a DNS domain like cluster.local')
    return text


def _log_level(text: str) -> str:
    if text.lower() not in _LEVELS:
        raise SettingsError(f'LOG_LEVEL is "{text}": write one of {", ".join(_LEVELS)}')
    return text.lower()

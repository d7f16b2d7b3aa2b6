"""Computes the environment of a process from the ``env`` list of its container, as the kubelet does. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sources_cli.problem import Problem

Values = Mapping[tuple[str, str, str], Mapping[str, str]]  # (Secret | ConfigMap, namespace, name) -> key -> value
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, defined: Mapping[str, str]) -> str:
    """Replaces ``$(NAME)`` with the value of NAME, and ``$$`` with ``$``. An unknown reference stays as written."""

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        return "$" if name is None else defined.get(name, match.group())

    return _REFERENCE.sub(replace, text)


def proxies_of(machine: Mapping[str, str], container: Mapping[str, str]) -> dict[str, str]:
    """The developer's proxy variables, in either case, that the container does not set: this machine is the network."""
    environ: dict[str, str] = {}
    for name in PROXY_VARIABLES:
        value = machine.get(name) or machine.get(name.lower())
        if value and name not in container and name.lower() not in container:
            environ[name] = value
    return environ


def container_environ(entries: Iterable[Mapping[str, Any]], pod: Mapping[str, str], values: Values) -> dict[str, str]:
    """An entry can refer only to entries before it. ``pod`` maps each supported ``fieldPath`` to its value."""
    environ: dict[str, str] = {}
    for entry in entries:
        name = entry["name"]
        if "valueFrom" in entry:
            value = _value_from(name, entry["valueFrom"], pod, values)
            environ |= {} if value is None else {name: value}
        else:
            environ[name] = expand(entry.get("value") or "", environ)
    return environ


def _value_from(name: str, reference: Mapping[str, Any], pod: Mapping[str, str], values: Values) -> str | None:
    """None if an optional reference names a missing object or key."""
    for field, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
        if field in reference:
            return _looked_up(kind, reference[field], pod["metadata.namespace"], values)
    path = str((reference.get("fieldRef") or {}).get("fieldPath", ""))
    if path not in pod:
        where = path or ", ".join(reference)
        raise Problem(f"variable {name} refers to {where}, which exists only in a cluster; write the value instead")
    return pod[path]


def _looked_up(kind: str, reference: Mapping[str, Any], namespace: str, values: Values) -> str | None:
    name, key = reference.get("name", ""), reference.get("key", "")
    data = values.get((kind, namespace, name))
    if data is not None and key in data:
        return data[key]
    if reference.get("optional"):
        return None
    if data is None:
        raise Problem(f'{kind} "{name}" not found in namespace "{namespace}"; add it to the YAML files')
    raise Problem(f'{kind} "{name}" has no key "{key}"; it has: {", ".join(sorted(data)) or "none"}')

"""The kinds that the cluster serves, and which source the user means. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from adapter.contract.formats import Json
from hooks.names import get_in, list_in
from sources_cli.problem import Problem, did_you_mean

CATEGORY = "sources"  # of every CRD that `sources manifests` writes
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True)
class ServedKind:
    """A kind of objects that the API server serves, in the version that it prefers."""

    api_version: str
    kind: str
    plural: str
    names: tuple[str, ...] = ()  # singular and short names
    is_source: bool = False
    is_namespaced: bool = True

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def resource(self) -> str:
        """As kubectl takes it: ``samplesources.samples.knative.dev``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def is_called(self, word: str) -> bool:
        names = (self.kind, self.plural, *self.names, self.resource, f"{self.kind}.{self.group}")
        return word.lower() in {name.lower() for name in names}

    def path(self, namespace: str | None, name: str = "") -> str:
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        place = f"/namespaces/{namespace}" if namespace and self.is_namespaced else ""
        return f"{root}{place}/{self.plural}{f'/{name}' if name else ''}"


@dataclass(frozen=True)
class Wanted:
    """``KIND/NAME`` or ``NAME`` of the command line. ``kinds``: those that it can be."""

    name: str
    kinds: tuple[ServedKind, ...]


def served_kinds(discovery: Json) -> list[ServedKind]:
    """From the answer to ``GET /apis`` with :data:`DISCOVERY`. Each kind once per group, in the first version."""
    found: dict[tuple[str, str], ServedKind] = {}
    for group in list_in(discovery, "items"):
        name = get_in(group, "metadata", "name") or ""
        for version in list_in(group, "versions"):
            api_version = f"{name}/{version['version']}" if name else version["version"]
            for kind in _kinds(api_version, list_in(version, "resources")):
                found.setdefault((name, kind.plural), kind)
    return list(found.values())


def _kinds(api_version: str, resources: Iterable[Json]) -> Iterator[ServedKind]:
    for one in resources:
        names = (str(one.get("singularResource") or ""), *one.get("shortNames", ()))
        yield ServedKind(
            api_version,
            str(get_in(one, "responseKind", "kind") or ""),
            str(one["resource"]),
            tuple(filter(None, names)),
            CATEGORY in one.get("categories", ()),
            one.get("scope") != "Cluster",
        )


def source_kinds(kinds: Iterable[ServedKind]) -> list[ServedKind]:
    """Raises ``Problem`` if there are none."""
    found = [kind for kind in kinds if kind.is_source]
    if not found:
        raise Problem("the cluster has no kinds of sources; install them as docs/install.md describes")
    return sorted(found, key=lambda kind: kind.kind)


def wanted(text: str, kinds: Sequence[ServedKind]) -> Wanted:
    """``kinds``: the kinds of sources. Raises ``Problem`` for a kind that is none of them."""
    word, slash, name = text.partition("/")
    if not slash:
        word, name = "", text
    if not name or "/" in name or (slash and not word):
        raise Problem(f'"{text}" is not a source; write KIND/NAME or NAME, like {kinds[0].kind.lower()}/hello')
    matching = tuple(kind for kind in kinds if not word or kind.is_called(word))
    if not matching:
        listed = ", ".join(kind.kind for kind in kinds)
        close = did_you_mean(word, [kind.kind for kind in kinds])
        raise Problem(f'"{word}" is not a kind of source in this cluster; the kinds are {listed}{close}')
    return Wanted(name, matching)


def not_found(wanted: Wanted, namespace: str, present: Sequence[tuple[ServedKind, str]]) -> Problem:
    """``present``: the sources of these kinds in the namespace."""
    what = f"{wanted.kinds[0].kind} " if len(wanted.kinds) == 1 else "source "
    close = did_you_mean(wanted.name, [name for _, name in present])
    shown = ", ".join(sorted(f"{kind.kind.lower()}/{name}" for kind, name in present)[:10])
    others = f"; it has {shown}" if shown else "; `sources list` shows those of all namespaces"
    return Problem(f'there is no {what}"{wanted.name}" in namespace {namespace}{others}{close}')


def ambiguous(name: str, kinds: Iterable[ServedKind]) -> Problem:
    shown = ", ".join(f"{kind.kind.lower()}/{name}" for kind in kinds)
    return Problem(f'several sources have the name "{name}"; write one of: {shown}')

"""Strategies for ``spec.adapter``: pairs of two spellings of the same settings. All are valid."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Json = Any
Pair = tuple[Json, Json]
Pairs = st.SearchStrategy[Pair]
MI = 2**20


def same(values: st.SearchStrategy[Json]) -> Pairs:
    return values.map(lambda value: (value, value))


def spelled(spellings: st.SearchStrategy[list[Json]]) -> Pairs:
    """Two of the spellings."""
    return spellings.flatmap(lambda each: st.tuples(st.sampled_from(each), st.sampled_from(each)))


def lists(items: Pairs, **options: Any) -> Pairs:
    return st.lists(items, **options).map(lambda pairs: ([one for one, _ in pairs], [other for _, other in pairs]))


@dataclass(frozen=True)
class Optional:
    """``nothing``: values that mean the same as no value, beside null."""

    value: Pairs
    nothing: tuple[Json, ...] = ()


@st.composite
def objects(draw: st.DrawFn, fields: Mapping[str, Pairs | Optional]) -> Pair:
    """The fields in any order. An optional field that is not used is absent, null or one of its ``nothing``."""
    sides: list[dict[str, Json]] = [{}, {}]
    for name, field in fields.items():
        if not isinstance(field, Optional) or draw(st.booleans()):
            pair = draw(field.value if isinstance(field, Optional) else field)
            for side, value in zip(sides, pair, strict=True):
                side[name] = value
            continue
        for side in sides:
            value = draw(st.sampled_from((..., ..., None, *field.nothing)))
            if value is not ...:
                side[name] = value
    one, other = ({name: side[name] for name in draw(st.permutations(list(side)))} for side in sides)
    return one, other


def maps(keys: st.SearchStrategy[str], values: st.SearchStrategy[str], **options: Any) -> Pairs:
    entries = st.dictionaries(keys, values, **options)
    return entries.flatmap(lambda each: st.tuples(*(st.permutations(list(each.items())).map(dict) for _ in range(2))))


def _bytes(size: int) -> list[Json]:
    spellings: list[Json] = [size, str(size), f"+{size}", f"{size}000m", f"{size}.0", f"{size}e0", f"{size / 1000}k"]
    if size % MI == 0:
        spellings += [f"{size // MI}Mi", f"{size // 1024}Ki", f"{size / 1024 / MI}Gi", f"0{size // MI}.Mi"]
    if size % 1000 == 0:
        spellings += [f"{size // 1000}k", f"{size // 1000}e3", f"{size // 1000}E3", f"{size / 10**6}M"]
    return spellings


def _cpu(millis: int) -> list[Json]:
    spellings: list[Json] = [f"{millis}m", f"{millis / 1000}", f"{millis}000u", f"{millis}e-3", f"{millis}000000n"]
    return [*spellings, *([millis // 1000] if millis % 1000 == 0 else [])]


sizes = st.integers(1, 64).map(lambda n: n * 16 * MI) | st.sampled_from([MI, 10**9, 128 * 10**6, 1181116007, 3 * 10**6])
millis = st.integers(1, 4000) | st.sampled_from([1000, 100, 500, 2000])


@st.composite
def resources(draw: st.DrawFn) -> Pair:
    sides: tuple[Json, Json] = ({}, {})
    for name, amounts, spellings in (
        ("cpu", millis, _cpu),
        ("memory", sizes, _bytes),
        ("ephemeral-storage", sizes, _bytes),
    ):
        cleared = st.just([None])
        limit = draw(st.none() | amounts)
        request = draw(st.none() | amounts.filter(lambda amount, most=limit: most is None or amount <= most))
        for side, amount in (("requests", request), ("limits", limit)):
            if amount is None and draw(st.booleans()):
                continue
            for one, value in zip(
                sides, draw(spelled(cleared if amount is None else st.just(spellings(amount)))), strict=True
            ):
                one.setdefault(side, {})[name] = value
    return sides


label_keys = st.sampled_from(["team", "example.com/team", "a.b/c_d.e", "X", "topology.kubernetes.io/zone", "0"])
label_values = st.from_regex(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,6}[A-Za-z0-9])?)?", fullmatch=True)
object_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=12)
text = texts | st.sampled_from(["$(HOME)", "a\tb\nc", '{"a": 1}', "", "$$"])
labels = maps(label_keys, label_values, max_size=3)


@st.composite
def tolerations(draw: st.DrawFn) -> Pair:
    exists = draw(st.booleans())
    seconds = draw(st.none() | st.integers(0, 600))
    effects = (
        st.just("NoExecute")
        if seconds is not None
        else st.sampled_from(["NoSchedule", "PreferNoSchedule", "NoExecute"])
    )
    effect = same(effects) if seconds is not None else Optional(same(effects), ("",))
    key = same(label_keys)
    fields: dict[str, Pairs | Optional] = {
        "key": Optional(key, ("",)) if exists else key,
        "operator": same(st.just("Exists")) if exists else Optional(same(st.just("Equal")), ("Equal",)),
        "value": Optional(same(st.just("")), ("",)) if exists else Optional(same(label_values), ("",)),
        "effect": effect,
        **({} if seconds is None else {"tolerationSeconds": same(st.just(seconds))}),
    }
    return draw(objects(fields))


def requirement(values: st.SearchStrategy[str], *more: str) -> Pairs:
    listed = objects(
        {
            "key": same(label_keys),
            "operator": same(st.sampled_from(["In", "NotIn"])),
            "values": lists(same(values), min_size=1, max_size=2),
        }
    )
    free = objects(
        {
            "key": same(label_keys),
            "operator": same(st.sampled_from(["Exists", "DoesNotExist"])),
            "values": Optional(same(st.just([])), ([],)),
        }
    )
    compared = objects(
        {
            "key": same(label_keys),
            "operator": same(st.sampled_from(more or ("Gt",))),
            "values": same(st.integers(0, 99).map(lambda n: [str(n)])),
        }
    )
    return st.one_of(listed, free, *([compared] if more else []))


selectors = objects(
    {
        "matchLabels": Optional(labels, ({},)),
        "matchExpressions": Optional(lists(requirement(label_values), max_size=2), ([],)),
    }
)
node_terms = objects(
    {
        "matchExpressions": Optional(lists(requirement(label_values, "Gt", "Lt"), max_size=2), ([],)),
        "matchFields": Optional(
            lists(
                objects(
                    {
                        "key": same(st.just("metadata.name")),
                        "operator": same(st.sampled_from(["In", "NotIn"])),
                        "values": same(object_names.map(lambda name: [name])),
                    }
                ),
                max_size=1,
            ),
            ([],),
        ),
    }
)
weights = same(st.integers(1, 100))
node_affinity = objects(
    {
        "requiredDuringSchedulingIgnoredDuringExecution": Optional(
            objects({"nodeSelectorTerms": lists(node_terms, min_size=1, max_size=2)})
        ),
        "preferredDuringSchedulingIgnoredDuringExecution": Optional(
            lists(objects({"weight": weights, "preference": node_terms}), max_size=2), ([],)
        ),
    }
)
label_key_lists = Optional(same(st.sampled_from([["pod-template-hash"], ["tenant", "app"]])), ([],))
pod_terms = objects(
    {
        "topologyKey": same(label_keys),
        "labelSelector": selectors,
        "namespaces": Optional(lists(same(object_names), max_size=2, unique=True), ([],)),
        "namespaceSelector": Optional(selectors),
        "matchLabelKeys": label_key_lists,
        "mismatchLabelKeys": Optional(same(st.just(["other"])), ([],)),
    }
) | objects({"topologyKey": same(label_keys), "labelSelector": Optional(selectors)})
pod_affinity = objects(
    {
        "requiredDuringSchedulingIgnoredDuringExecution": Optional(lists(pod_terms, max_size=2), ([],)),
        "preferredDuringSchedulingIgnoredDuringExecution": Optional(
            lists(objects({"weight": weights, "podAffinityTerm": pod_terms}), max_size=2), ([],)
        ),
    }
)
affinity = objects(
    {
        "nodeAffinity": Optional(node_affinity, ({},)),
        "podAffinity": Optional(pod_affinity, ({},)),
        "podAntiAffinity": Optional(pod_affinity, ({},)),
    }
)
spread = objects(
    {
        "maxSkew": same(st.integers(1, 5)),
        "topologyKey": same(label_keys),
        "whenUnsatisfiable": same(st.sampled_from(["DoNotSchedule", "ScheduleAnyway"])),
        "labelSelector": Optional(selectors),
        "nodeAffinityPolicy": Optional(same(st.just("Ignore")), ("Honor",)),
        "nodeTaintsPolicy": Optional(same(st.just("Honor")), ("Ignore",)),
    }
) | objects(
    {
        "maxSkew": same(st.integers(1, 5)),
        "topologyKey": same(label_keys),
        "whenUnsatisfiable": same(st.just("DoNotSchedule")),
        "labelSelector": selectors,
        "minDomains": Optional(same(st.integers(2, 5)), (1,)),
        "matchLabelKeys": Optional(same(st.just(["pod-template-hash"])), ([],)),
    }
)
optional = Optional(same(st.just(True)), (False,))
data_keys = st.sampled_from(["key", "ca.crt", "_A-b.c"])
reference = objects({"name": same(object_names), "key": same(data_keys), "optional": optional})
variables = st.sampled_from(["HTTPS_PROXY", "A", "a.b-c_D", "NO_PROXY", "TZ", "JAVA_OPTS"])


@st.composite
def env(draw: st.DrawFn) -> Pair:
    names = draw(st.lists(variables, unique=True, max_size=4))
    sides: Pair = ([], [])
    for name in names:
        fields = draw(
            st.sampled_from(
                [
                    {"value": Optional(same(text), ("",))},
                    {"valueFrom": objects({"secretKeyRef": reference}), "value": Optional(same(st.just("")), ("",))},
                    {
                        "valueFrom": objects(
                            {"configMapKeyRef": reference, "secretKeyRef": Optional(reference)}
                        ).filter(lambda pair: not any(side.get("secretKeyRef") for side in pair))
                    },
                ]
            )
        )
        for side, value in zip(sides, draw(objects({"name": same(st.just(name)), **fields})), strict=True):
            side.append(value)
    return sides


modes = same(st.sampled_from([0, 0o400, 0o444]))
items = Optional(
    lists(
        objects(
            {"key": same(data_keys), "path": same(st.sampled_from(["a", "b/c.pem", ".d"])), "mode": Optional(modes)}
        ),
        unique_by=lambda pair: pair[0]["path"],
        max_size=2,
    ),
    ([],),
)
files: dict[str, Pairs | Optional] = {"items": items, "defaultMode": Optional(modes, (0o644,)), "optional": optional}
volume_sources: list[tuple[str, Pairs]] = [
    ("configMap", objects({"name": same(object_names), **files})),
    ("secret", objects({"secretName": same(object_names), **files})),
    (
        "emptyDir",
        objects(
            {
                "medium": Optional(same(st.just("Memory")), ("",)),
                "sizeLimit": Optional(
                    spelled(sizes.map(_bytes).map(lambda each: [text for text in each if isinstance(text, str)]))
                ),
            }
        ),
    ),
    ("persistentVolumeClaim", objects({"claimName": same(object_names), "readOnly": optional})),
]
mount_paths = ["/data", "/etc/ssl/extra", "/var/lib/x", "/a.b/c", "/tmp", "/usrlocal"]


@st.composite
def volumes(draw: st.DrawFn) -> dict[str, Pair]:
    """Values of ``volumes`` and ``volumeMounts``. A volume may have two mounts."""
    names = draw(st.lists(object_names, unique=True, min_size=1, max_size=3))
    listed: Pair = ([], [])
    for name in names:
        source, values = draw(st.sampled_from(volume_sources))
        others = {other: Optional(values) for other, values in volume_sources if other != source}
        spelling = draw(objects({"name": same(st.just(name)), source: values}))
        for side, value in zip(listed, spelling, strict=True):
            side.append({**dict.fromkeys(draw(st.sets(st.sampled_from(sorted(others)), max_size=1))), **value})
    paths = draw(st.permutations(mount_paths))
    mounts: Pair = ([], [])
    for name, path in zip([*names, *draw(st.lists(st.sampled_from(names), max_size=2))], paths, strict=False):
        fields: dict[str, Pairs | Optional] = {
            "name": same(st.just(name)),
            "mountPath": same(st.just(path)),
            "readOnly": optional,
            "subPath": Optional(same(st.sampled_from(["a", "a/b", ".a"])), ("",)),
        }
        for side, value in zip(mounts, draw(objects(fields)), strict=True):
            side.append(value)
    return {"volumes": listed, "volumeMounts": mounts}


_FIELDS: dict[str, Pairs | Optional] = {
    "nodeSelector": Optional(labels, ({},)),
    "tolerations": Optional(lists(tolerations(), max_size=3), ([],)),
    "affinity": Optional(affinity, ({},)),
    "topologySpreadConstraints": Optional(
        lists(spread, max_size=2, unique_by=lambda pair: (pair[0]["topologyKey"], pair[0]["whenUnsatisfiable"])), ([],)
    ),
    "priorityClassName": Optional(same(st.sampled_from(["high", "low"])), ("",)),
    "imagePullSecrets": Optional(
        lists(objects({"name": same(object_names)}), max_size=2, unique_by=lambda pair: pair[0]["name"]), ([],)
    ),
    "labels": Optional(labels, ({},)),
    "annotations": Optional(maps(label_keys, text, max_size=3), ({},)),
    "env": Optional(env(), ([],)),
    "terminationGracePeriodSeconds": Optional(same(st.integers(100, 3600))),
}


@st.composite
def spellings(draw: st.DrawFn) -> Pair:
    """Two values of ``spec.adapter`` that mean the same."""
    fields = dict(_FIELDS)
    if draw(st.booleans()):
        fields["resources"] = resources()
    if draw(st.booleans()):
        drawn = draw(volumes())
        fields |= {name: st.just(pair) for name, pair in drawn.items()}
    else:
        fields |= {name: Optional(same(st.just([])), ([],)) for name in ("volumes", "volumeMounts")}
    return draw(objects(fields))


settings = spellings().map(lambda pair: pair[0])


leaves = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.just({}) | st.just([]) | st.text(max_size=4)
    | st.sampled_from(["Exists", "Equal", "In", "Gt", "NoExecute", "ScheduleAnyway", "/", "/oidc/x", "PORT", "1Gi"])
)  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> Json:
    """A valid value in which one member was replaced, removed or repeated."""
    value = copy.deepcopy(draw(settings))
    places = list(_places(value))
    if not places:
        return value
    container, key = draw(st.sampled_from(places))
    change = draw(st.sampled_from(["replace", "remove", "repeat"]))
    if change == "replace":
        container[key] = draw(leaves)
    elif change == "remove":
        del container[key]
    elif isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    return value


def _places(value: Json) -> Iterator[tuple[Any, Any]]:
    for key, member in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(member, dict | list):
            yield from _places(member)

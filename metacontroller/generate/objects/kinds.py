"""The kinds that ship: CRDs, CompositeControllers and roles, from the functions of `sources manifests`."""

from __future__ import annotations

from urllib.parse import quote_plus

from adapter.contract.formats import Json, sorted_json
from adapter.contract.kind_names import plural
from metacontroller.generate.objects import pool, tls
from metacontroller.generate.objects.account import account
from metacontroller.generate.tree import ITEM, NAMESPACE, Each, If, Leaf, Text, Tree, Value, Values, has, text
from metacontroller.generate.values import KINDS
from sources_cli.arguments import SINK_KINDS, ManifestsOptions
from sources_cli.generate.rbac import rbac
from sources_cli.kind import QUERY_SAFE, Kind, kind_named
from sources_cli.manifests import controller
from sources_cli.schema.crd import crd

PACKAGE = "adapter.sources"
POD = "v1/Pod"
# Of an item like eventing.knative.dev/v1/Broker: the group is empty in v1/Service.
_GROUP = Leaf(
    '(ternary (first (splitList "/" .)) "" (eq (len (splitList "/" .)) 3))',
    lambda values: values[ITEM].rpartition("/")[0].rpartition("/")[0],
)
_PLURAL = Leaf('(include "sample-source.plural" .)', lambda values: plural(values[ITEM].rpartition("/")[2]))
_COPIED_LABELS = Leaf('(join "," $.Values.copiedLabels)', lambda values: ",".join(values["copiedLabels"]))
_SINK_KINDS = Leaf('(join "," $.Values.sinkKinds)', lambda values: ",".join(values["sinkKinds"]))


def kinds() -> list[Kind]:
    return [kind_named(name, PACKAGE) for name in KINDS]


def crds(kind: Kind) -> list[Tree]:
    return [If(has("kinds", kind.name), crd(kind))]


def controllers(kind: Kind) -> list[Tree]:
    return [If(has("kinds", kind.name), _controller(kind))]


def roles(kind: Kind) -> list[Tree]:
    documents = rbac(kind, [SINK_KINDS], ManifestsOptions.metacontroller)
    for document in documents:
        if document["metadata"]["name"].endswith("-metacontroller"):
            _follow_values(document, kind)
    return [If(has("kinds", kind.name), document) for document in documents]


def _follow_values(document: Json, kind: Kind) -> None:
    """Replace what `sources manifests` writes for its options by what values say."""
    if document["kind"] == "ClusterRoleBinding":
        document["subjects"] = [account()]
        return
    *own, related = document["rules"]
    verbs = related["verbs"]
    each = Each("sinkKinds", {"apiGroups": [_GROUP], "resources": [_PLURAL], "verbs": verbs})
    [pods] = rbac(kind, [POD], ManifestsOptions.metacontroller)[-2]["rules"][-1:]
    document["rules"] = [*own, each, If("diagnosePods", pods), *_of_pool(own[-1], kind)]


def _of_pool(deployments: Json, kind: Kind) -> list[Tree]:
    """What Metacontroller may do if a pool runs the sources. ``deployments``: the rule for them, which is extended."""
    joined = pool.joined(kind)
    if not joined:
        return []
    *_, extended, pools, troubled = rbac(kind, [], ManifestsOptions.metacontroller, pool=True)[-2]["rules"]
    deployments["verbs"] = [*deployments["verbs"], *(If(joined, verb) for verb in extended["verbs"][-1:])]
    return [If(joined, pools), If(joined, troubled)]


def _controller(kind: Kind) -> Tree:
    if kind.source_class.adapter:
        raise ValueError(f"{kind.name}.adapter is set: adapterDefaults of the chart would not be merged with it")
    document = controller(kind, ManifestsOptions(kind.module))
    for hook in document["spec"]["hooks"].values():
        webhook = hook["webhook"]
        webhook["service"] |= {"namespace": Value(NAMESPACE), "port": tls.PORT, "protocol": tls.PROTOCOL}
        webhook["path"] = _path(webhook["path"], kind)
    document["spec"]["endpointConfigs"] = If("tls.enabled", [tls.endpoint()])
    return document


def _path(path: str, kind: Kind) -> Text:
    """The path of `sources manifests` without options, with the parameters of values."""
    before, after = path.split(f"sinkKinds={SINK_KINDS}")
    of_sync = [
        If("adapterDefaults", text("adapter=", _ADAPTER_DEFAULTS, "&")),
        If("copiedLabels", text("copiedLabels=", _COPIED_LABELS, "&")),
    ]
    return text(
        before,
        *(of_sync if path.startswith("/sync") else []),
        "sinkKinds=",
        _SINK_KINDS,
        If("diagnosePods", "&diagnosePods=true"),
        *([after] if after else []),
        *([If(joined, text("&pool=", Value("pool.name")))] if (joined := pool.joined(kind)) else []),
    )


def _query(values: Values) -> str:
    return quote_plus(sorted_json(values["adapterDefaults"]), safe=QUERY_SAFE)


_ADAPTER_DEFAULTS = Leaf(
    "$.Values.adapterDefaults | toRawJson | urlquery"
    + "".join(f' | replace "{quote_plus(char)}" "{char}"' for char in QUERY_SAFE),
    _query,
)

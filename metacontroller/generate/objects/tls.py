"""https between Metacontroller and the hook: certificate, token or client certificate, each in a Secret of its own.

Users create the Secrets in the namespace of the hook. Metacontroller reads them when the ``spec`` of a controller
changes, and when it starts; see docs/trust.md.
"""

from __future__ import annotations

from metacontroller.generate.objects.account import role_and_binding
from metacontroller.generate.tree import NAMESPACE, If, Leaf, Tree, Value, text

PORT = If("tls.enabled", 443, 80)
PROTOCOL = If("tls.enabled", "https", "http")
_DIRECTORY, _TOKEN_DIRECTORY = "/etc/sources-tls", "/etc/sources-token"
_TOKEN_SECRET, _CLIENT_SECRET = "sources-hook-token", "sources-hook-client-tls"


def _with_tls(path: str) -> Leaf:
    value = Value(path)
    return Leaf(
        f"(and $.Values.tls.enabled {value.helm})", lambda values: values["tls"]["enabled"] and value.plain(values)
    )


_TOKEN, _CLIENT = _with_tls("tls.token"), _with_tls("tls.clientAuth")
# With the CA in the controller, and neither token nor client certificate, Metacontroller reads no Secret.
_SECRETS = Leaf(
    "(and $.Values.tls.enabled (or $.Values.tls.token $.Values.tls.clientAuth (not $.Values.tls.caBundle)))",
    lambda values: (tls := values["tls"])["enabled"] and (tls["token"] or tls["clientAuth"] or not tls["caBundle"]),
)


def variables() -> list[Tree]:
    """The variables of the hook's container."""
    return [
        If("tls.enabled", {"name": "TLS_DIR", "value": _DIRECTORY}),
        If(_CLIENT, {"name": "CLIENT_CA_FILE", "value": f"{_DIRECTORY}/ca.crt"}),
        If(_TOKEN, {"name": "AUTH_TOKEN_FILE", "value": f"{_TOKEN_DIRECTORY}/tokens"}),
    ]


def mounts() -> list[Tree]:
    return [
        If("tls.enabled", {"name": "tls", "mountPath": _DIRECTORY, "readOnly": True}),
        If(_TOKEN, {"name": "token", "mountPath": _TOKEN_DIRECTORY, "readOnly": True}),
    ]


def volumes() -> list[Tree]:
    return [
        If("tls.enabled", {"name": "tls", "secret": {"secretName": Value("tls.secretName")}}),
        If(_TOKEN, {"name": "token", "secret": {"secretName": _TOKEN_SECRET}}),
    ]


def endpoint() -> Tree:
    """The item of ``endpointConfigs`` in a CompositeController: how Metacontroller calls the hook."""
    place = {"namespace": Value(NAMESPACE)}
    return {
        "host": text("sources-hook.", Value(NAMESPACE)),
        "caBundle": If(
            "tls.caBundle",
            {"inline": Value("tls.caBundle")},
            {"secretRef": {"name": Value("tls.secretName"), **place, "key": "ca.crt"}},
        ),
        "authorization": If(_TOKEN, {"type": "Bearer", "secretRef": {"name": _TOKEN_SECRET, **place, "key": "token"}}),
        "clientTLS": If(_CLIENT, {"secretRef": {"name": _CLIENT_SECRET, **place}}),
    }


def roles() -> list[Tree]:
    """Metacontroller reads Secrets through a cache of all Secrets, so ``get`` of three names is not enough.

    tests/cluster/test_trust.py shows it. Metacontroller 4.17 has no option that restricts this cache.
    """
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}
    pair = role_and_binding("ClusterRole", {"name": "sources-metacontroller-secrets"}, [rule])
    return [If(_SECRETS, each) for each in pair]

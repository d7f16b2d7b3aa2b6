"""A hook that demands credentials, and a CompositeController through which Metacontroller shows them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from metacontroller.generate.objects import tls
from metacontroller.generate.tree import documents, plain
from metacontroller.generate.values import with_values
from sources_cli import manifests
from sources_cli.arguments import ManifestsOptions
from tests.cluster.api import Object
from tests.cluster.local_cluster import CONTROLLERS, KIND, LocalCluster
from tests.mounts import client_pair, mount
from tests.process.harness import Process

NAMESPACE = "sample-source"
USER = "system:serviceaccount:metacontroller:metacontroller"
TLS, TOKEN, CLIENT = "sources-hook-tls", "sources-hook-token", "sources-hook-client-tls"
NAME = f"{KIND.plural}.{KIND.group}"


def new_pair(authority: trustme.CA) -> dict[str, bytes]:
    """``tls.crt`` and ``tls.key`` of the hook."""
    issued = authority.issue_cert("127.0.0.1")
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
    return {"tls.crt": chain, "tls.key": issued.private_key_pem.bytes()}


ROLES = documents(tls.roles(), with_values({"tls.enabled": True}))


def allow_secrets(cluster: LocalCluster) -> None:
    """Metacontroller may read Secrets, as the overlay ``tls`` says."""
    for document in ROLES:
        cluster.api.apply(document)


def forbid_secrets(cluster: LocalCluster) -> None:
    for document in ROLES:
        cluster.api.delete(document["apiVersion"], f"{document['kind'].lower()}s", document["metadata"]["name"])


@dataclass
class SecuredHook:
    """``files``: what is mounted into the hook. Secrets of Metacontroller are objects in ``NAMESPACE``."""

    cluster: LocalCluster
    directory: Path
    token: bool = False
    mutual: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    port: int = 0

    def mount(self, **files: bytes) -> None:
        """Change mounted files; ``_`` in a name is a dot."""
        self.files |= {name.replace("_", "."): content for name, content in files.items()}
        mount(self.directory, self.files)

    def rotate(self, authority: trustme.CA) -> None:
        self.files |= new_pair(authority)
        mount(self.directory, self.files)

    def start(self) -> None:
        environ = {"TLS_DIR": str(self.directory)}
        environ |= {"AUTH_TOKEN_FILE": str(self.directory / "tokens")} if self.token else {}
        environ |= {"CLIENT_CA_FILE": str(self.directory / "client-ca.crt")} if self.mutual else {}
        self.port = self.cluster.start_hook(**environ)

    @property
    def process(self) -> Process:
        return self.cluster.hooks[-1]

    def create_namespace(self) -> None:
        if not self.cluster.api.find("v1", "namespaces", NAMESPACE):
            self.cluster.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})

    def secret(self, name: str, data: Mapping[str, bytes]) -> None:
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        metadata = {"name": name, "namespace": NAMESPACE}
        self.cluster.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded})

    def client_secret(self, authority: trustme.CA) -> None:
        self.secret(CLIENT, client_pair(authority))

    def controller(self) -> Object:
        """The CompositeController of SampleSource."""
        document = manifests.controller(KIND, ManifestsOptions(""))
        for hook in document["spec"]["hooks"].values():
            webhook = hook["webhook"]
            del webhook["service"]
            webhook["url"] = f"https://127.0.0.1:{self.port}{webhook.pop('path')}"
        values = with_values({"tls.enabled": True, "tls.token": self.token, "tls.clientAuth": self.mutual})
        document["spec"]["endpointConfigs"] = [{**plain(tls.endpoint(), values), "host": f"127.0.0.1:{self.port}"}]
        return document

    def read_secrets_again(self) -> None:
        """Any change of ``spec`` makes Metacontroller do so."""
        period = self.cluster.api.get(*CONTROLLERS, NAME)["spec"]["resyncPeriodSeconds"]
        self.cluster.api.patch(*CONTROLLERS, NAME, {"spec": {"resyncPeriodSeconds": period + 1}})

"""What a kubelet would hand to an adapter. kwok's pods run nothing: a test reads it, or starts the real adapter so."""

from __future__ import annotations

import base64

from sources_cli.local.environ import container_environ
from tests.cluster.api import Object
from tests.cluster.world import Home
from tests.process.harness import Process, Start, free_port


def deployment_of(home: Home, name: str) -> Object:
    uid = home.read(name)["metadata"]["uid"]
    owners = [(it, it["metadata"].get("ownerReferences", [])) for it in home.deployments()]
    [found] = [it for it, references in owners if uid in [one["uid"] for one in references]]
    return found


def environ_of(home: Home, name: str) -> dict[str, str]:
    """Of a source's adapter, Secrets read as they stand on the server."""
    [container] = deployment_of(home, name)["spec"]["template"]["spec"]["containers"]
    values = {
        ("Secret", home.namespace, it["metadata"]["name"]): {
            key: base64.b64decode(text).decode() for key, text in it.get("data", {}).items()
        }
        for it in home.api.list("v1", "secrets", home.namespace)
    }
    image = {} if home.kind.package == "adapter.sources" else {"SOURCES_PACKAGE": home.kind.package}  # sources image
    return {**image, **container_environ(container["env"], {"metadata.namespace": home.namespace}, values)}


def run(start: Start, environ: dict[str, str], sink: str) -> tuple[Process, int]:
    """The real adapter, told what the cluster says but for the sink and the ports, which are this machine's.

    The port is the one on which a source that listens is called.
    """
    port = free_port()
    here = {"K_SINK": sink, "HEALTH_PORT": str(free_port()), "PORT": str(port)}
    return start("adapter", **{**environ, **here}), port

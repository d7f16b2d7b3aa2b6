"""The adapter of a source: its Deployment, the environment that a kubelet would pass, and the real process.

Pods run no process under kwok, so tests start the adapter themselves.
"""

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
    """The environment of a source's adapter; values from Secrets are read from the API server."""
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
    """Start the real adapter with ``environ``, but with this sink URL and free ports of this machine.

    Returns the process and the port on which a listening source accepts requests.
    """
    port = free_port()
    here = {"K_SINK": sink, "HEALTH_PORT": str(free_port()), "PORT": str(port)}
    return start("adapter", **{**environ, **here}), port

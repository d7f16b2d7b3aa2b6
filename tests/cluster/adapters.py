"""The adapter of a source: its Deployment, the environment that a kubelet would pass, and the real process.

Pods run no process under kwok, so tests start the adapter themselves.
"""

from __future__ import annotations

import base64

from sources_cli.local.environ import container_environ
from tests.cluster.api import Object
from tests.cluster.namespace import SourceNamespace
from tests.process.harness import Process, Start, free_port


def deployment_of(ns: SourceNamespace, name: str) -> Object:
    uid = ns.read(name)["metadata"]["uid"]
    owners = [(deployment, deployment["metadata"].get("ownerReferences", [])) for deployment in ns.deployments()]
    [found] = [deployment for deployment, references in owners if uid in [one["uid"] for one in references]]
    return found


def environ_of(ns: SourceNamespace, name: str) -> dict[str, str]:
    """The environment of a source's adapter; values from Secrets are read from the API server."""
    [container] = deployment_of(ns, name)["spec"]["template"]["spec"]["containers"]
    values = {
        ("Secret", ns.name, secret["metadata"]["name"]): {
            key: base64.b64decode(text).decode() for key, text in secret.get("data", {}).items()
        }
        for secret in ns.api.list("v1", "secrets", ns.name)
    }
    image = {} if ns.kind.package == "adapter.sources" else {"SOURCES_PACKAGE": ns.kind.package}  # sources image
    return {**image, **container_environ(container["env"], {"metadata.namespace": ns.name}, values)}


def run_adapter(
    start: Start, environ: dict[str, str], sink: str, health_port: int | None = None
) -> tuple[Process, int]:
    """Start the real adapter with ``environ``, but with this sink URL and free ports of this machine.

    Returns the process and the port on which a listening source accepts requests.
    """
    port = free_port()
    here = {"K_SINK": sink, "HEALTH_PORT": str(health_port or free_port()), "PORT": str(port)}
    if environ.get("CHECKPOINT_URL", "").startswith("file:"):
        here["CHECKPOINT_URL"] = ""  # this machine has no /checkpoint
    return start("adapter", **{**environ, **here}), port

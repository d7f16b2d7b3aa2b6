"""The Secrets with client certificates that a kubelet would mount, as files in a private temporary directory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from adapter.contract.environment import TLS_SECRETS
from adapter.contract.formats import Json
from sources_cli.local.environ import Values
from sources_cli.local.objects import container
from sources_cli.problem import Problem


class TlsSecrets:
    """``names``: the Secrets that the Deployment mounts for its adapter. The directory exists until ``remove()``."""

    def __init__(self, deployment: Json) -> None:
        paths = (Path(mount["mountPath"]) for mount in container(deployment).get("volumeMounts", []))
        self.names = [path.name for path in paths if path.parent == Path(TLS_SECRETS)]
        self._namespace = deployment["metadata"]["namespace"]
        self._directory: TemporaryDirectory[str] | None = None

    def environ(self, values: Values) -> dict[str, str]:
        """Write the current files of the Secrets. Returns the variable that names their directory.

        ``Problem`` if a Secret is not among ``values``.
        """
        if not self.names:
            return {}
        found = {name: values.get(("Secret", self._namespace, name)) for name in self.names}
        for name, data in found.items():
            if data is None:
                raise Problem(f'Secret "{name}" not found in namespace "{self._namespace}"; add it to the YAML files')
        self._directory = self._directory or TemporaryDirectory(prefix="sources-tls-")  # only its owner may read it
        for name, data in found.items():
            directory = Path(self._directory.name, name)
            directory.mkdir(exist_ok=True)
            for key, text in (data or {}).items():
                (directory / Path(key).name).write_text(text)
        return {"TLS_SECRETS": self._directory.name}

    def remove(self) -> None:
        if self._directory:
            self._directory.cleanup()

"""The checkpoints of ``sources run``: a directory per source, which outlives the run.

All local adapters of a source share its directory, as they would share a database. The directory also keeps the uid and
the creation time of the source: the checkpoint belongs to the uid, and timers count their ticks from that time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from adapter.checkpoints.urls import checkpoint_key
from adapter.contract.declarations import EnvError
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import Json, format_time
from adapter.loading import load_source
from sources_cli.admission.documents import is_source, new_identity
from sources_cli.local.process import OnLine
from sources_cli.problem import Problem

DIRECTORY = Path(".sources/checkpoints")  # below the working directory
VARIABLE = "CHECKPOINT_URL"
IDENTITY = "identity.json"
FRESH = "--fresh starts without it"


class Checkpoints:
    """``kept``: the next run continues from them. Otherwise they are in a temporary directory, until :meth:`close`.

    ``fresh``: the checkpoint of each source is removed before its first adapter starts.
    """

    def __init__(self, *, kept: bool = True, fresh: bool = False) -> None:
        self._temporary = None if kept else TemporaryDirectory(prefix="sources-checkpoints-")
        self._root = Path(self._temporary.name) / DIRECTORY if self._temporary else DIRECTORY
        self._fresh = fresh
        self._started: set[Path] = set()  # the directories of the sources whose adapters this run has started

    def identity(self, source: Json) -> Json:
        """The uid and the creation time that the source had in an earlier run, or new ones."""
        if self._fresh or not is_source(source):
            return new_identity(source)
        metadata = source["metadata"]
        file = self._directory(metadata["namespace"], source["kind"], metadata["name"]) / IDENTITY
        try:
            stored = json.loads(file.read_bytes())
            return {name: stored[name] for name in ("uid", "creationTimestamp")}
        except (FileNotFoundError, NotADirectoryError):
            return new_identity(source)
        except (OSError, ValueError, TypeError, LookupError):
            raise Problem(f"{file} cannot be read; delete {file.parent} to start without its checkpoint") from None

    def environ(self, environ: Mapping[str, str], message: OnLine) -> dict[str, str]:
        """The variable of an adapter with ``environ``, with a directory of this machine in place of a volume.

        A database of a Secret stays. ``message`` gets a line if the adapter may continue from an earlier run.
        """
        if VARIABLE not in environ:
            return {}
        try:
            env = AdapterEnv.from_environ(environ)
        except EnvError:  # the adapter ends with it
            return {}
        directory, is_volume = self._directory(env.namespace, env.kind, env.name), environ[VARIABLE].startswith("file:")
        try:
            self._prepare(directory, env, message, is_volume=is_volume)
        except OSError as error:
            hint = "start in a directory that you may write to, or use --once"
            raise Problem(f"the checkpoint {directory} cannot be written: {error.strerror}; {hint}") from None
        return {VARIABLE: f"file://{quote(str(directory.absolute()))}?shared=true"} if is_volume else {}

    def close(self) -> None:
        if self._temporary:
            self._temporary.cleanup()

    def _directory(self, namespace: str, kind: str, name: str) -> Path:
        return self._root / namespace / kind / name

    def _prepare(self, directory: Path, env: AdapterEnv, message: OnLine, *, is_volume: bool) -> None:
        if directory not in self._started:
            self._started.add(directory)
            if self._fresh:
                shutil.rmtree(directory, ignore_errors=True)
            elif is_volume and _has_checkpoint(directory, env):
                message(f"{env.name}: continues from its checkpoint in {directory}; {FRESH}")
            elif not is_volume and (directory / IDENTITY).is_file():
                message(f"{env.name}: continues from its checkpoint in the database, if there is one; {FRESH}")
        directory.mkdir(parents=True, exist_ok=True)
        (self._root.parent / ".gitignore").write_text("*\n")
        identity = {"uid": env.identity, "creationTimestamp": format_time(env.created)}
        (directory / IDENTITY).write_text(json.dumps(identity))


def _has_checkpoint(directory: Path, env: AdapterEnv) -> bool:
    try:
        source = load_source(env)
    except EnvError:  # the adapter ends with it
        return False
    return (directory / f"{checkpoint_key(env.identity, source)}.json").is_file()

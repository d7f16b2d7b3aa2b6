"""The checkpoints of ``sources run``, without processes: the directories, their identities and the variable."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapter.checkpoints.store import Record
from adapter.checkpoints.urls import checkpoint_key, is_shared, open_store
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import parse_time
from adapter.loading import load_source
from sources_cli.admission.documents import Files
from sources_cli.local.checkpoints import Checkpoints
from sources_cli.problem import Problem

SOURCE = """apiVersion: samples.knative.dev/v1alpha1
kind: PollSource
metadata: {name: orders%s}
spec: {url: http://h, sink: {uri: http://s}}
"""
POD = "file:///checkpoint"


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(tmp_path)
    yield
    os.chdir(before)


def metadata(checkpoints: Checkpoints, more: str = "") -> dict[str, Any]:
    Path("orders.yaml").write_text(SOURCE % more)
    documents, problems = Files([Path("orders.yaml")], "adapter.sources", identity=checkpoints.identity).read()
    assert problems == []
    [source] = documents.sources
    return dict(source["metadata"])


class Run:
    """What one ``sources run`` gives to the adapter of the source ``orders``."""

    def __init__(
        self, url: str = POD, *, polled: str = "http://h", more: str = "", kept: bool = True, fresh: bool = False
    ) -> None:
        self.messages: list[str] = []
        self.checkpoints = Checkpoints(kept=kept, fresh=fresh)
        self.metadata = metadata(self.checkpoints, more)
        env = AdapterEnv(
            kind="PollSource",
            namespace="default",
            name="orders",
            uid=self.metadata["uid"],
            created=parse_time(self.metadata["creationTimestamp"]),
            config={"url": polled},
            sink="http://s",
            checkpoint_url=url,
        ).to_environ()
        self.environ = env | self.checkpoints.environ(env, self.messages.append)

    def save(self) -> None:
        """What the adapter does after an event."""
        env = AdapterEnv.from_environ(self.environ)
        assert env.checkpoint_url
        store = open_store(env.checkpoint_url, checkpoint_key(env.identity, load_source(env)))
        asyncio.run(store.save(Record(1, "here")))


def test_next_run_has_the_same_directory_uid_and_creation_time_and_says_so() -> None:
    first = Run()
    first.save()
    second = Run()
    assert first.messages == []
    assert second.messages == [
        "orders: continues from its checkpoint in .sources/checkpoints/default/PollSource/orders; "
        "--fresh starts without it"
    ]
    assert second.environ == first.environ
    assert second.metadata == first.metadata


def test_restart_within_a_run_says_nothing() -> None:
    run = Run()
    run.save()
    assert run.checkpoints.environ(run.environ, run.messages.append) == {
        "CHECKPOINT_URL": run.environ["CHECKPOINT_URL"]
    }
    assert run.messages == []


@pytest.mark.parametrize("url", [POD, "file:///checkpoint?shared=true"], ids=["pod", "volume"])
def test_volumes_of_a_pod_become_a_directory_that_all_local_adapters_share(url: str) -> None:
    local = Run(url).environ["CHECKPOINT_URL"]
    assert local == f"file://{Path.cwd()}/.sources/checkpoints/default/PollSource/orders?shared=true"
    assert is_shared(local)


def test_database_stays_and_the_source_keeps_its_uid() -> None:
    first, second = Run("redis://db:6379/0"), Run("redis://db:6379/0")
    assert first.environ["CHECKPOINT_URL"] == "redis://db:6379/0"
    assert second.metadata == first.metadata
    text = "orders: continues from its checkpoint in the database, if there is one; --fresh starts without it"
    assert (first.messages, second.messages) == ([], [text])


def test_source_without_a_checkpoint_has_no_directory_and_a_new_uid_in_each_run() -> None:
    checkpoints = Checkpoints()
    assert checkpoints.environ({"SOURCE_KIND": "SampleSource"}, pytest.fail) == {}
    assert metadata(checkpoints)["uid"] != metadata(Checkpoints())["uid"]
    assert not Path(".sources").exists()


def test_fresh_deletes_the_checkpoint_of_the_source_only() -> None:
    Run().save()
    other = Path(".sources/checkpoints/default/PollSource/other/1.json")
    other.parent.mkdir()
    other.write_text("{}")
    old = Run().metadata["uid"]
    fresh = Run(fresh=True)
    assert fresh.metadata["uid"] != old
    assert list(Path(".sources/checkpoints/default/PollSource/orders").glob("[0-9a-f]*.json")) == []
    assert fresh.messages == []
    assert other.exists()
    fresh.save()
    assert Run().metadata["uid"] == fresh.metadata["uid"]


def test_another_upstream_is_not_reported_as_continued() -> None:
    Run().save()
    assert Run(polled="http://other").messages == []


def test_once_keeps_nothing() -> None:
    Run().save()
    once = Run(kept=False)
    directory = Path(once.environ["CHECKPOINT_URL"].removeprefix("file://").removesuffix("?shared=true"))
    assert directory.is_dir()
    assert once.metadata["uid"] != Run().metadata["uid"]
    with closing(once.checkpoints):
        pass
    assert not directory.exists()


def test_uid_of_the_file_wins() -> None:
    Run().save()
    assert Run(more=", uid: u9, creationTimestamp: '2026-01-01T00:00:00Z'").metadata["uid"] == "u9"


def test_unreadable_identity_is_a_problem_that_says_what_to_delete() -> None:
    Run().save()
    directory = ".sources/checkpoints/default/PollSource/orders"
    Path(directory, "identity.json").write_text("{")
    with pytest.raises(Problem, match=f"^{directory}/identity.json cannot be read; delete {directory} to start "):
        Checkpoints().identity({"kind": "PollSource", "metadata": {"namespace": "default", "name": "orders"}})


def test_directory_that_cannot_be_written_is_a_problem() -> None:
    Path(".sources").write_text("a file")
    with pytest.raises(Problem, match=r"cannot be written: .*; start in a directory that you may write to, or use"):
        Run()


def test_git_ignores_the_directory() -> None:
    Run().save()
    subprocess.run(["git", "init", "-q"], check=True)
    shown = subprocess.run(["git", "status", "--short", "--untracked-files=all"], capture_output=True, check=True)
    assert shown.stdout == b"?? orders.yaml\n"

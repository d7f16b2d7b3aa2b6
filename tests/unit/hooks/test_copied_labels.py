"""Names of labels that the Deployment and the pods of a source get, too."""

from __future__ import annotations

import pytest

from hooks.controller import KindOptions
from hooks.pod_settings.merge import MOST_LABELS, copied, read_label_names
from tests.unit.hooks.hook import URL_SINK, answer, message


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("team", ("team",)),
        (" team , example.com/cost-center,team,", ("team", "example.com/cost-center")),
        (f"{'a' * 63},A_b.c-1", ("a" * 63, "A_b.c-1")),
    ],
)
def test_label_names_are_read_without_spaces_and_duplicates(text: str, names: tuple[str, ...]) -> None:
    assert read_label_names(text) == names


@pytest.mark.parametrize("name", ["a" * 64, "-a", "a-", "a/b/c", "/a", "a/", "A.example/a", "a b", "é", "*"])
def test_invalid_label_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a label; write one like team") as raised:
        read_label_names(f"team,{name}")
    assert f'"{name}"' in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "knative-eventing-source",
        "knative-eventing-source-name",
        "controller-uid",
        "pod-template-hash",
        "samples.knative.dev/x",
    ],
)
def test_label_that_hook_or_kubernetes_sets_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f'"{name}" is set by the hook or by Kubernetes; leave it out'):
        read_label_names(name)


def test_too_many_label_names_are_refused() -> None:
    names = [f"label-{n}" for n in range(MOST_LABELS + 1)]
    assert len(read_label_names(",".join(names[1:]))) == MOST_LABELS
    with pytest.raises(ValueError, match=f"17 labels are listed; write at most {MOST_LABELS}"):
        read_label_names(",".join(names))


def test_only_listed_labels_are_copied_in_the_order_of_the_list() -> None:
    labels = {"app": "x", "cost-center": "7", "team": "blue"}
    assert list(copied(labels, ("team", "absent", "cost-center")).items()) == [("team", "blue"), ("cost-center", "7")]
    assert copied(None, ("team",)) == copied(labels, ()) == {}


def test_message_about_too_many_labels_mentions_the_copied_ones() -> None:
    own = {f"l{n}": "x" for n in range(32)}
    options = KindOptions(copied_labels=("team",))
    response = answer({"sink": URL_SINK, "adapter": {"labels": own}}, options=options, labels={"team": "a"})
    assert message(response).endswith("write at most 32 entries (merged with copied labels)")

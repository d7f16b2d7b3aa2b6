"""The Deployment of an adapter: its labels, its command, its environment."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.contract.environment import AdapterEnv
from hooks.children.environment import escape, unescape
from tests.unit.hooks.hook import URL_SINK, answer, condition, env_of, pod_of


def test_adapter_of_another_image_has_no_command() -> None:
    [container] = pod_of(answer({"sink": URL_SINK}, image="kind:1"))["containers"]
    [default] = pod_of(answer({"sink": URL_SINK}))["containers"]
    assert default == {**container, "image": "adapter:1", "command": ["python", "-m", "adapter"]}
    assert "command" not in container


def test_adapter_reads_back_the_environment_that_the_hook_wrote() -> None:
    spec = {"sink": {"uri": "http://h/$(NAME)"}, "interval": "5s", "depth": 3, "token": {"secretKeyRef": {"name": "s"}}}
    [container] = pod_of(answer(spec))["containers"]
    by_name = {variable["name"]: variable for variable in container["env"]}
    assert by_name["SOURCE_SECRET_0"]["valueFrom"] == {"secretKeyRef": {"name": "s"}}
    assert by_name["K_SINK"]["value"] == "http://h/$$(NAME)"
    assert by_name["K_CE_OVERRIDES"] == {"name": "K_CE_OVERRIDES"}
    environ = {
        name: unescape(variable.get("value", "x" if "valueFrom" in variable else ""))
        for name, variable in by_name.items()
    }
    read = AdapterEnv.from_environ(environ)
    assert (read.sink, read.source_fields()) == ("http://h/$(NAME)", {"depth": 3, "token": "x", "interval": "5s"})


@pytest.mark.parametrize("text", ["$", "$$", "$(A)", "$$(A)", "a$b", "$$$", "$$$$(", "x$"])
def test_unescape_inverts_escape(text: str) -> None:
    assert unescape(escape(text)) == text


def test_label_of_a_long_name_has_at_most_63_characters() -> None:
    [deployment] = answer({"sink": URL_SINK}, name="n" * 200)["children"]
    assert len(deployment["metadata"]["labels"]["knative-eventing-source-name"]) == 63


def test_characters_that_yaml_does_not_allow_are_escaped_or_rejected() -> None:
    """Server-side apply sends YAML. With these characters the API server would reject the whole Deployment."""
    odd = "a\x7f\x9f\ufffe"
    environ = env_of(answer({"sink": URL_SINK, "text": odd, "ceOverrides": {"extensions": {"x": odd}}}))
    for name in ("SOURCE_CONFIG", "K_CE_OVERRIDES"):
        assert not set(odd[1:]) & set(environ[name])
    read = AdapterEnv.from_environ({name: value for name, value in environ.items() if value})
    assert (read.config["text"], read.ce_overrides) == (odd, {"x": odd})
    response: Any = answer({"sink": URL_SINK | {"audience": odd}})
    assert condition(response, "SinkProvided") == ("False", "InvalidSink")

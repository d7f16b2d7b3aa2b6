"""A config that the class of a kind rejects leads to one line that shows what to change, and no secret."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator, model_validator

from adapter.contract.declarations import EnvError
from adapter.contract.environment import AdapterEnv
from adapter.loading import load_module, make_source, source_class
from adapter.sdk import Interval, SecretText, Source

TOKEN = "hush-hush"
FIRST = {"$env": "SOURCE_SECRET_0"}
FROM_A_SECRET = "a value from a Secret or ConfigMap is not valid ({}); check that it is complete"


class Auth(BaseModel):
    type: str
    secret: SecretText


class PickySource(Source):
    """Its validators repeat values in their messages."""

    auth: Auth | None = Field(None, description="A part.")
    header: str = Field("", description="A value, perhaps from a Secret.")
    number: int = Field(0, description="A number.")
    interval: Interval = Field(Interval("1m"), description="An interval.")

    @field_validator("header")
    @classmethod
    def _check_header(cls, header: str) -> str:
        if header.startswith("!"):
            raise ValueError(f"{header[1:]!r} is not allowed")
        if "\n" in header:
            raise ValueError("must be one line")
        return header

    @model_validator(mode="after")
    def _check_all(self) -> PickySource:
        secret = self.auth.secret.get_secret_value() if self.auth else ""
        if self.header == "key error":
            raise KeyError("no such header")
        if self.header == "key error with secret":
            raise KeyError(f"no {secret}")
        if self.header == "value error":
            raise ValueError("the header does not fit")
        if self.header == "value error with secret":
            raise ValueError(f"{secret.upper()} does not fit")
        return self


def message(config: dict[str, Any], *secrets: str, interval: str | None = None) -> str:
    named = {f"SOURCE_SECRET_{n}": value for n, value in enumerate(secrets)}
    env = AdapterEnv(kind="PickySource", config=config, secrets=named, interval=interval, sink="http://h")
    with pytest.raises(EnvError) as error:
        make_source(PickySource, env)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__ or error.value.__context__ is None
    return str(error.value)


AUTH = {"type": "bearer", "secret": FIRST}


@pytest.mark.parametrize(
    ("config", "secrets", "expected"),
    [
        pytest.param(
            {"header": "!a"}, (), "SOURCE_CONFIG, field header, is \"!a\": 'a' is not allowed", id="no-secrets"
        ),
        pytest.param(
            {"auth": {"type": "bearer"}}, (),
            "SOURCE_CONFIG, field auth.secret, is not set: Field required", id="missing",
        ),
        pytest.param(
            {"header": "!a", "auth": AUTH}, (TOKEN,),
            "SOURCE_CONFIG, field header, is \"!a\": 'a' is not allowed", id="field-beside-a-secret",
        ),
        pytest.param(
            {"auth": AUTH}, (" \n",),
            'SOURCE_CONFIG, field auth.secret, is "": '
            "the secret is empty; write a value into the Secret, or remove the reference", id="empty-secret",
        ),
        pytest.param(
            {"header": FIRST}, (f"!{TOKEN}",),
            f'field header, is "(secret)": {FROM_A_SECRET.format("value_error")}', id="message-with-secret",
        ),
        pytest.param(
            {"header": FIRST}, (f"{TOKEN}\n",),
            f'field header, is "(secret)": {FROM_A_SECRET.format("value_error")}', id="invalid-secret",
        ),
        pytest.param(
            {"header": TOKEN, "number": FIRST}, (TOKEN,),
            'SOURCE_CONFIG, field number, is "(secret)": '
            "Input should be a valid integer, unable to parse string as an integer", id="any-text-is-invalid",
        ),
        pytest.param(
            {"auth": AUTH, "header": "value error"}, (TOKEN,),
            "SOURCE_CONFIG is an object with the keys auth, header: the header does not fit", id="whole-config",
        ),
        pytest.param(
            {"header": "value error with secret", "auth": AUTH}, (TOKEN,),
            f": {FROM_A_SECRET.format('value_error')}", id="whole-config-with-secret",
        ),
        pytest.param(
            {"header": "key error", "auth": AUTH}, (TOKEN,),
            ": the class of the kind rejects it (KeyError: 'no such header')", id="other-exception",
        ),
        pytest.param(
            {"header": "key error with secret", "auth": AUTH}, (TOKEN,),
            f": {FROM_A_SECRET.format('KeyError')}", id="other-exception-with-secret",
        ),
        pytest.param(
            {"header": "!a", "auth": AUTH}, ("a",),
            "SOURCE_CONFIG, field header, is \"!a\": 'a' is not allowed", id="secret-is-part-of-another-field",
        ),
    ],
)  # fmt: skip
def test_rejected_config_is_explained_without_secrets(
    config: dict[str, Any], secrets: tuple[str, ...], expected: str
) -> None:
    shown = message(config, *secrets)
    assert shown.endswith(expected)
    assert TOKEN not in shown.lower()


def test_rejected_interval_names_its_own_variable() -> None:
    assert message({}, interval="soon").startswith('INTERVAL is "soon": ')


def test_load_module_hides_one_warning_and_restores_the_warning_filters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "warning_kinds.py").write_text(
        'import warnings\nwarnings.warn(\'Field name "copy" in "X" shadows an attribute in parent "Timer"\')\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    before = list(warnings.filters)
    load_module("warning_kinds")
    assert warnings.filters == before


def test_module_without_the_class_of_its_name_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "renamed_kinds").mkdir()
    (tmp_path / "renamed_kinds/door_source.py").write_text("from adapter.sdk import Timer\nclass Door(Timer): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EnvError, match=r"^SOURCE_KIND .*: renamed_kinds.door_source has no class of this name; rename"):
        source_class("DoorSource", "renamed_kinds")

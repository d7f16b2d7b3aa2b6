"""A field that is not usable: the author's sentence is shown, a secret is not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator, model_validator

from adapter import loading
from adapter.contract.environment import AdapterEnv, EnvError
from adapter.observe.redaction import contains_secret, redacted
from adapter.sdk import SecretText, Source

TOKEN = "hush-hush"


@pytest.mark.parametrize(
    ("text", "secret", "expected"),
    [
        pytest.param("write a token", TOKEN, False, id="not in it"),
        pytest.param("bad token hush-hush!", TOKEN, True, id="in it"),
        pytest.param("bad token HUSH-hush", TOKEN, True, id="in another case"),
        pytest.param("bad token 'hush-hush'", f"{TOKEN}\n", True, id="trimmed"),
        pytest.param("bad token a b", "a \n b", True, id="on one line"),
        pytest.param(r"bad token 'a\nbc'", "a\nbc", True, id="escaped"),
        pytest.param(r"bad token gr\u00fcn", "grün", True, id="escaped as JSON"),
        pytest.param("no second line here", "first one\nsecond line", True, id="a line of it"),
        pytest.param("the secret is empty", "", False, id="empty"),
        pytest.param("the secret is empty", "\n", False, id="a line end"),
        pytest.param("the secret is empty", "e", False, id="a letter of each word"),
        pytest.param("not a number: e", "e", True, id="a letter as a word"),
        pytest.param("not a number: 'abc'", "abc", True, id="short, in quotes"),
        pytest.param("abcd is no number", "abc", False, id="short, part of a word"),
    ],
)
def test_a_sentence_repeats_a_secret_or_not(text: str, secret: str, expected: bool) -> None:
    assert contains_secret(text, ["something else", secret]) is expected


def test_a_value_is_shown_with_its_secrets_left_out() -> None:
    value = {"type": "bearer", "secret": TOKEN, "headers": [f"Bearer {TOKEN}", "other", 3], "none": None}
    shown = {"type": "bearer", "secret": "(secret)", "headers": ["(secret)", "other", 3], "none": None}
    assert redacted(value, [TOKEN]) == shown


class Auth(BaseModel):
    type: str
    secret: SecretText

    @model_validator(mode="after")
    def _complete(self) -> Auth:
        if not self.secret.get_secret_value():
            raise ValueError("the secret is empty; anybody could sign with it")
        return self


class PickySource(Source):
    """Refuses what it is given."""

    auth: Auth | None = Field(None, description="A part.")
    header: str = Field("", description="A value, perhaps of a Secret.")
    number: int = Field(0, description="A number.")

    @field_validator("header")
    @classmethod
    def _one_line(cls, header: str) -> str:
        if header.startswith("!"):
            raise ValueError(f"{header} is not allowed")
        if "\n" in header:
            raise ValueError("must be one line; take the line end out of the Secret")
        return header

    @model_validator(mode="after")
    def _known(self) -> PickySource:
        if self.header in ("x", TOKEN):
            raise KeyError(f"no {self.header} here")
        if self.header == "y":
            raise ValueError("y does not go with this")
        return self


def said(monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], *secrets: str) -> str:
    monkeypatch.setattr(loading, "source_class", lambda kind, package: PickySource)
    named = {f"SOURCE_SECRET_{n}": value for n, value in enumerate(secrets)}
    with pytest.raises(EnvError) as error:
        loading.load_source(AdapterEnv(kind="PickySource", config=config, secrets=named, sink="http://h"))
    return str(error.value)


FIRST = {"$env": "SOURCE_SECRET_0"}


@pytest.mark.parametrize(
    ("config", "secrets", "sentence"),
    [
        pytest.param(
            {"auth": {"type": "bearer", "secret": FIRST}},
            ("",),
            'SOURCE_CONFIG, field auth.secret, is "(secret)": '
            "the secret is empty; write a value into the Secret, or remove the reference",
            id="an empty secret",
        ),
        pytest.param(
            {"header": FIRST},
            (f"{TOKEN}\n",),
            'SOURCE_CONFIG, field header, is "(secret)": must be one line; take the line end out of the Secret',
            id="a line end",
        ),
        pytest.param(
            {"header": FIRST},
            (f"!{TOKEN}",),
            'SOURCE_CONFIG, field header, is "(secret)": the value is not usable (value_error)',
            id="a sentence that repeats it",
        ),
        pytest.param(
            {"header": TOKEN, "number": FIRST},
            (TOKEN,),
            'SOURCE_CONFIG, field number, is "(secret)": '
            "Input should be a valid integer, unable to parse string as an integer",
            id="pydantic's own words",
        ),
        pytest.param(
            {"auth": {"type": "bearer", "secret": FIRST}, "header": "y"},
            (TOKEN,),
            'SOURCE_CONFIG is "{\\"auth\\": {\\"type\\": \\"bearer\\", \\"secret\\": \\"(secret)\\"}, '
            '\\"header\\": \\"y\\"}": y does not go with this',
            id="of the whole",
        ),
        pytest.param(
            {"header": "x", "auth": {"type": "bearer", "secret": FIRST}},
            (TOKEN,),
            'PickySource refuses it (KeyError: \'no x here\')',
            id="words of a library",
        ),
        pytest.param({"header": FIRST}, (TOKEN,), "PickySource refuses it (KeyError)", id="words that repeat it"),
    ],
)  # fmt: skip
def test_the_authors_sentence_is_shown_unless_it_repeats_a_secret(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], secrets: tuple[str, ...], sentence: str
) -> None:
    told = said(monkeypatch, config, *secrets)
    assert told.endswith(sentence)
    assert TOKEN not in told

"""A kind with a field of every type, for tests of the CRD generator and the validator."""

from datetime import datetime
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel

from adapter.sdk import Certificates, Event, Field, HttpUrl, Interval, SecretText, Timer


class Colour(str, Enum):  # noqa: UP042 -- authors may write plain enums
    RED = "red"
    BLUE = "blue"


class Item(BaseModel):
    """An object in a list."""

    name: str = Field(description="Its name.", min_length=2, max_length=5)
    weight: int = Field(1, description="Its weight.", ge=1, le=10)


class Loose(BaseModel, extra="allow"):
    """An object that allows unknown fields."""

    name: str = Field("x", description="A known field.", max_length=5)


class EveryFieldSource(Timer):
    """Has a field of every type."""

    api_version = "tests.example.com/v1beta1"
    short_name = "efs"
    event_types = ("com.example.every",)

    url: str = Field(description="A pattern.", pattern="^https?://", max_length=30, examples=["http://example.com"])
    words: str = Field("a b", description="A pattern with an end anchor.", pattern=r"^\w+( \w+)*$")
    colour: Colour = Field(Colour.RED, description="An enum.")
    mode: Literal["a", "b"] = Field("a", description="One of two texts.")
    level: Literal[1, 2] = Field(1, description="One of two numbers.")
    ratio: float = Field(0.5, description="Exclusive bounds.", gt=0, lt=1)
    count: int = Field(4, description="A multiple.", multiple_of=2)
    port: int | str = Field(80, description="A number or a text.")
    items: list[Item] = Field([], description="A list of objects.", max_length=3)
    first: Item | None = Field(None, description="The same object type again.")
    names: list[str] = Field(["x"], description="A list that must not be empty.", min_length=1, max_length=3)
    tags: set[str] = Field(set(), description="A set.", max_length=3)
    labels: dict[str, str] = Field({}, description="A map of texts.", max_length=2)
    numbers: dict[str, int] = Field({}, description="A map of numbers.", min_length=0)
    since: datetime | None = Field(None, description="A time.")
    token: SecretText | None = Field(None, description="A secret.")
    headers: dict[str, SecretText] = Field({}, description="Secrets by name.")
    on: bool = Field(False, description="A switch.")
    free: dict[str, Any] = Field({}, description="Anything.")
    loose: Loose = Field(Loose(), description="An object that allows unknown fields.")
    every: Interval = Field(Interval("1m"), description="A duration.")
    endpoint: HttpUrl | None = Field(None, description="A URL.")
    authorities: Certificates | None = Field(None, description="Certificates.")

    def tick(self, n: int) -> Event:
        return Event(type="com.example.every", data=self.model_dump(mode="json", exclude={"token", "headers"}))

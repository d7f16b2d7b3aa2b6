"""A kind whose author wrote CEL rules of every sort; for ``sources lint`` and the API server."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from adapter.sdk import Event, Field, Timer


def rules(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"x-kubernetes-validations": list(listed)}


class Window(BaseModel):
    """Two times, and a place."""

    model_config = {
        "json_schema_extra": rules(
            {"rule": "!has(self.begin) || !has(self.end) || self.begin < self.end", "message": "begin after end"},
            {
                "rule": "!has(self.place) || self.place != 'a'",
                "message": "not this place",
                "fieldPath": "['place']",
                "reason": "FieldValueForbidden",
            },
            {"rule": "!has(self.end) || self.end.getFullYear() > 2000", "message": "a year after 2000"},
        )
    }

    begin: datetime | None = Field(None, description="A time.")
    end: datetime | None = Field(None, description="A time.")
    place: str | None = Field(None, description="A place.", max_length=20)


class OwnRulesSource(Timer):
    """Has rules of its author's own."""

    api_version = "tests.example.com/v1beta1"
    event_types = ("com.example.rules",)
    model_config = {
        "json_schema_extra": rules(
            {
                "rule": "!has(self.low) || !has(self.high) || self.low <= self.high",
                "message": "low must not exceed high",
                "messageExpression": "self.low > 3 ? 'low exceeds high and 3' : 'low exceeds high'",
                "fieldPath": ".low",
            },
            {"rule": "!has(self.low) || !has(self.window.begin) || self.low != 7", "message": "no begin with 7"},
        )
    }

    low: int | None = Field(None, description="A whole number.", json_schema_extra=rules({"rule": "self % 2 == 1"}))
    high: float | None = Field(
        None,
        description="A number.",
        json_schema_extra=rules(
            {"rule": "self > 0 && self * 0.5 < 50.0", "message": "0 to 100"},
            {"rule": "self != 13.0", "message": "not 13"},
        ),
    )
    window: Window | None = Field(None, description="An object with rules.")
    names: list[str] = Field(
        [],
        description="A list.",
        max_length=5,
        json_schema_extra=rules(
            {"rule": "self.all(name, name.size() > 1)", "message": "two letters each"},
            {"rule": "self.size() == 0 || self[0] != 'no'", "message": "not no"},
            {"rule": "self.size() < 2 || self[2] == 'xx'", "message": "the third is xx"},
            {"rule": "self.filter(name, name.startsWith('a')).size() <= 1", "message": "one with a"},
            {"rule": "!self.exists(name, name in ['bad', 'worse'])", "message": "nothing bad"},
            {"rule": "self.map(name, name + '!') != ['hey!']", "message": "no hey"},
            {"rule": "self.size() == 0 || self.exists_one(name, name.endsWith('x'))", "message": "one with x"},
        ),
    )
    limits: dict[str, int] = Field(
        {},
        description="A map.",
        max_length=5,
        json_schema_extra=rules(
            {"rule": "self.all(key, self[key] < 10)", "messageExpression": "self.size() > 1 ? 'two\\nlines' : ' '"},
            {"rule": "!('zero' in self) || 100 / self['zero'] > 1", "message": "division"},
            {"rule": "!('old' in self) || oldSelf['old'] == 1", "message": "only on update"},
        ),
    )
    port: int | str | None = Field(
        None,
        description="A number or a text.",
        json_schema_extra=rules({"rule": "self == 80 || self == 'http' || self == '8080'", "message": "80, http"}),
    )
    text: str | None = Field(
        None,
        description="A text.",
        max_length=30,
        json_schema_extra=rules(
            {"rule": r"self.matches('^[^\\pC\\s\"\']*$')", "message": "no quotes"},
            {"rule": "!self.startsWith('5') || int(self) > 55", "message": "more than 55"},
        ),
    )
    link: str | None = Field(
        None,
        description="A URL or a path.",
        max_length=60,
        json_schema_extra=rules(
            {"rule": "isURL(self)", "message": "a URL"},
            {"rule": "!isURL(self) || url(self).getScheme() != 'ftp'", "message": "not ftp"},
            {"rule": "!isURL(self) || url(self).getPort() != '1'", "message": "not port 1"},
            {"rule": "!isURL(self) || url(self).getHost() != 'h:2'", "message": "not h:2"},
            {"rule": "!isURL(self) || url(self).getEscapedPath() != '/a%20b'", "message": "not /a b"},
            {"rule": "!isURL(self) || !('q' in url(self).getQuery())", "message": "no q"},
        ),
    )
    pause: str | None = Field(
        None,
        description="A duration.",
        max_length=20,
        json_schema_extra=rules({"rule": "duration(self) > duration('1500µs')", "message": "more than 1500µs"}),
    )

    def tick(self, n: int) -> Event:
        return Event(type="com.example.rules")

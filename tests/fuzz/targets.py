"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import cloudevents, hook, polls, webhook, yaml_files

ALL = (hook.TARGET, webhook.TARGET, polls.JSON, polls.FEEDS, cloudevents.TARGET, yaml_files.TARGET)
TARGETS = {target.name: target for target in ALL}

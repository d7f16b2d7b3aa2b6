"""CloudEvents as HTTP messages: own events are encoded, received events are decoded."""

"""CloudEvents as HTTP messages: encodes the events of the source, and decodes received events."""

"""Delivers an event to its sink: attempts, retries, the dead letter sink."""

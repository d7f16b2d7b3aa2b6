"""Checks a source as the API server would, without an API server."""

"""Checks sources by the rules of the API server, without an API server."""

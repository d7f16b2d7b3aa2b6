"""What the API server would say of a source, without an API server."""

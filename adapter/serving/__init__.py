"""HTTP servers with limits, and JSON logs. It imports no other package of the adapter, so the hook may import it."""

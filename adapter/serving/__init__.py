"""HTTP servers with limits, and JSON logs. Imports nothing else of the adapter; the hook may import this package."""

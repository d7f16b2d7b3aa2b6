"""The children of a source: the Deployment of its adapter, and a Service if it listens. Pure."""

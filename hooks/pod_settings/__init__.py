"""Settings of the pod of an adapter."""

"""The CRD of a kind, made from its class."""

"""What the hook and the adapter share: the environment of an adapter, the values in it, and timeouts."""

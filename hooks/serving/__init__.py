"""The two ports of the hook: the one that Metacontroller calls, and the plain one for health and metrics."""

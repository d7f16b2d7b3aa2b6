"""Runs sources on this machine: the hook, the adapters and their sinks as child processes."""

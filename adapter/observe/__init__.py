"""Metrics of a running adapter, for operators."""

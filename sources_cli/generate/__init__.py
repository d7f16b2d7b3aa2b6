"""Generates the files of ``sources manifests`` and ``sources new``."""

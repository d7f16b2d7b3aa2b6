"""The files that ``sources manifests`` and ``sources new`` write."""

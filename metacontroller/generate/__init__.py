"""Generates what installs the project, for kustomize and for Helm, from one tree of objects.

``python -m metacontroller.generate`` writes ``base``, ``components``, ``overlays``,
``settings`` and ``chart``.
"""

"""SourcePool: one process that runs many sources. What to ask it, what its answers mean, and its own children.

``client`` and ``refill`` talk to the process; the other modules are pure.
"""

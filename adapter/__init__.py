"""ACT: run one event source.

Authors import :mod:`adapter.sdk`; the hook imports :mod:`adapter.contract` and :mod:`adapter.serving` only.

Nothing is imported here: ``import adapter.contract.environment`` runs this file inside the hook's process.
"""

__version__ = "0.1.0"

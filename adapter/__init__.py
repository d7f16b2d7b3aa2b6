"""The adapter: runs one event source and delivers its events to the sink.

Authors of kinds import :mod:`adapter.sdk`. The hook imports only :mod:`adapter.contract` and :mod:`adapter.serving`;
this file imports nothing, because it also runs in the hook's process.
"""

__version__ = "0.1.0"

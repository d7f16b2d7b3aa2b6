"""A sink that checks, prints and shows every CloudEvent: ``python -m adapter.display``."""

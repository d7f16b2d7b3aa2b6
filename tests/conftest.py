"""Settings of all tests, and the pytest plugin for authors of kinds."""

from hypothesis import settings

pytest_plugins = ["adapter.testing"]

# Without a deadline, slow machines cause no failures.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

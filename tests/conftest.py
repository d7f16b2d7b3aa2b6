"""What all tests share, and the plugin that authors of kinds get."""

from hypothesis import settings

pytest_plugins = ["adapter.testing"]

# A slow machine makes a test slow, not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

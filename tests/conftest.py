"""The plugin that authors of kinds get, for these tests too."""

pytest_plugins = ["adapter.testing"]

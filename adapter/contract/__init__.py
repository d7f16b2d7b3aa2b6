"""The seam between hook and adapter: the adapter's environment and the values in it. The hook imports it too."""

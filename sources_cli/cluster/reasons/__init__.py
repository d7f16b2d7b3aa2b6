"""The table of reasons: what each one means and what to do."""

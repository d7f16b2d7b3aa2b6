"""Settings of the adapter's pod: ``spec.adapter`` of a source, and the defaults of its kind and of its cluster. Pure.

``merge`` joins the levels as plain JSON, ``read`` checks the result and makes it canonical.
"""

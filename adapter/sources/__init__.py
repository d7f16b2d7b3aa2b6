"""The kinds of this package. Each is one class in one file: ``SampleSource`` is in ``sample_source.py``."""

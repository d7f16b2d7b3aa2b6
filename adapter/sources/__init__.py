"""One file, one class, one kind: ``SampleSource`` lives in ``sample_source.py``."""

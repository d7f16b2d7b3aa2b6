from adapter.sources.sample_source import SampleSource as SampleSource

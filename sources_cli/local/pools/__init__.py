"""SourcePools on this machine."""

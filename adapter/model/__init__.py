"""The classes that authors of kinds use: sources, events, field types and clocks."""

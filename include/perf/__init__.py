"""The core: what a run is, how it is measured, and what its verdict rests on."""

__version__ = "0.1.0"

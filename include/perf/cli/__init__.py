"""The commands of ``python -m include.perf``."""

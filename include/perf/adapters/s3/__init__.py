"""Stores in an S3-compatible object store; see ``docs/storage.md``."""

"""Results, baselines and what belongs to them in an S3-compatible object store; see ``docs/storage.md``."""

"""One run: its specification, its figures, its record, and where these are stored."""

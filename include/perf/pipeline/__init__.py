"""The stages of a run, in order, and what builds them."""

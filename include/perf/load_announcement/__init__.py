"""Tells others that a load begins and ends, so that nobody hunts a spike that we made."""

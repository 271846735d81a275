"""Stores as files in a local or shared folder."""

"""Stores in a local or shared folder."""

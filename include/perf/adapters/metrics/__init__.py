"""Prometheus: queries and rules."""

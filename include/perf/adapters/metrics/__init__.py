"""Prometheus: queries and alert rules."""

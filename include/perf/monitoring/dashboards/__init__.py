"""Grafana as code: the dashboard of our own metrics, and the files by which Grafana finds it.

The words are those of Grafana's own schema, by its Foundation SDK: a tool for working on Bellwether, which nothing
needs while it runs.
"""

"""Grafana as code: the dashboard of Bellwether's metrics, and Grafana's provisioning files.

It uses Grafana's Foundation SDK, which is needed only to develop Bellwether, not to run it.
"""

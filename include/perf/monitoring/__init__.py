"""What Prometheus and Grafana receive: our metrics, alert rules and dashboards."""

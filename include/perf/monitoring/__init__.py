"""What Prometheus and Grafana receive: Bellwether's metrics, alert rules and dashboards."""

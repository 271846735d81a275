"""The outside world behind the core's ports: Locust, Prometheus, the results store, charts, Slack."""

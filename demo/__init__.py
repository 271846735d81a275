"""The demo: a reference forex platform, a Slack stand-in, and the stack that runs them with Airflow and Prometheus."""

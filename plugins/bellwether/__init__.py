"""The Airflow layer: tasks, notifier and wiring around `include.perf`."""

"""Reads the environment and chooses the stores: the composition roots of the command line and of Airflow."""

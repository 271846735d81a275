"""Everything of Bellwether that does not know Airflow."""

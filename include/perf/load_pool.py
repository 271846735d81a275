"""The pool that keeps loads from running at once; Airflow's tasks take it, the project makes it."""

LOAD_POOL = "bellwether_load"
LOAD_POOL_DESCRIPTION = "Bellwether's load generators: one slot, so that loads go one after another"

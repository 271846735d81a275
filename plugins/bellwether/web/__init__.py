"""The page "Performance" in Airflow's UI: its routes, permissions and responses.

`include.perf.pages` has the content of the pages.
"""

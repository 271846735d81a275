"""The page "Performance" in Airflow's UI: who may look, who may change what, and what is sent.

What the pages show is in `include.perf.pages`.
"""

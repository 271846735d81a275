"""Shows wrong entries of the catalogue as an import error of this file; all right entries have their DAGs."""

from bellwether.wrong_entries import WrongEntries

from include.perf.catalogue.reading import read_catalogue

if problems := read_catalogue().problems:
    dag = WrongEntries(dag_id="catalogue", schedule=None, doc_md="\n".join(problems))  # makes Airflow show them

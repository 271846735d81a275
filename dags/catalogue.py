"""Shows what is wrong with the catalogue as an import error of this file; all right entries have their DAGs.

It also keeps the current catalogue, which stands in when a file of it is broken.
"""

from bellwether.dag_catalogue import dag_catalogue, keep_current_catalogue
from bellwether.wrong_entries import WrongEntries

catalogue = dag_catalogue()
if not catalogue.broken:
    keep_current_catalogue()
if problems := catalogue.problems:
    dag = WrongEntries(dag_id="catalogue", schedule=None, doc_md="\n".join(problems))  # makes Airflow show them

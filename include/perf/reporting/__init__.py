"""Reports of runs and summaries of DAG runs: documents, their formats (Markdown, HTML, JUnit), and charts."""

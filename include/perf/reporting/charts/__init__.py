"""Charts of a run. Only this folder uses Matplotlib."""

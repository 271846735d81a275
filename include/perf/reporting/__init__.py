"""What a run, or many, tell people: reports as documents, and the forms in which they are read."""

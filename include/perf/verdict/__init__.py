"""What the figures of a night mean. Imports no catalogue, no load and no guard."""

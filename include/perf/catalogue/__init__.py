"""The content of the three YAML files of the catalogue: services, scenarios, market hours and operations."""

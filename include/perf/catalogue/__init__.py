"""What the three YAML files of the catalogue say: services, scenarios, market hours and operations."""

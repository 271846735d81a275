"""The endpoints of the six services, one module a service."""

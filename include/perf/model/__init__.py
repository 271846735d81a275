"""Basic types and functions of every room: errors, metrics, numbers, text, JSON and YAML. Imports no other room."""

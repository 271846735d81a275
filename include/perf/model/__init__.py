"""The words that every room speaks: errors, metrics, numbers, text, JSON and YAML. Imports no other room."""

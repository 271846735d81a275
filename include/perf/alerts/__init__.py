"""Alerts: open problems, the outbox, silences, and Slack's messages. Imports no verdict and no pipeline."""

"""A stand-in for Slack: it enforces Slack's limits and formats, and shows the messages on a page.

Whatever it accepts, Slack accepts. Where Slack's behaviour is not documented, the stand-in is stricter. Start it with
``python -m demo.slack --port 8300``.
"""

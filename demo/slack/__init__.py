"""A stand-in for Slack: its limits and shapes enforced, its messages shown on a page.

What passes here passes at Slack; where Slack's behaviour is not documented, the stand-in is the
stricter of the two. Start it with ``python -m demo.slack --port 8300``.
"""

"""The reference forex platform, a Slack stand-in and the stack that `make demo` shows."""

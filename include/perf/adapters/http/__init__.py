"""HTTP to the service under test and to webhooks."""

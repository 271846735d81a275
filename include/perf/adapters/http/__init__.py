"""HTTP to the service under test and to the webhook for annotations."""

"""What must hold before a load starts and while it runs."""

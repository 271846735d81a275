"""What one scenario says: its load profile, its schedule, its calendar and its stop criteria."""

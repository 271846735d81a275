"""The settings of a scenario: its load profile, schedule, market hours and stop criteria."""

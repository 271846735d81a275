"""What Bellwether tells Prometheus about itself: verdicts, shifts, baselines, limits in force, loads that run."""

"""What runs inside the Locust process. Nothing else may import it: Locust patches the standard library."""

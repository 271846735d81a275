"""From raw request rows and Prometheus samples to figures that can be trusted."""

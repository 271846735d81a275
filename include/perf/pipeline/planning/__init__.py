"""From a request to the list of runs: specifications, time, order, re-runs and fingerprints."""

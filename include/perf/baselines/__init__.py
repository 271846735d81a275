"""What is normal: baselines, the history of a cell, and the statistics of how far nights differ."""

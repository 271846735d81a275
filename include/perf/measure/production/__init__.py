"""The comparison of a run with production at the corresponding hours; production is only read, never loaded.

`observed` queries what one side did in a window, `buckets` computes quantiles of histograms, `comparison` combines both
sides, and `comparing` does all of this for a run. Nothing here is part of a verdict.
"""

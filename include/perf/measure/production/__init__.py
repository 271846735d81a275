"""How a run compares with production at the corresponding hours; production is only ever read.

`reference` says how Prometheus knows production and `hours` which hours of it a scenario stands for; `observed` asks
what one side did in a window, `buckets` makes quantiles of histograms, `comparison` puts both sides together, and
`comparing` does all of it for a run. Nothing in here is part of a verdict.
"""

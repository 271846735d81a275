"""Alert rules for Prometheus, with limits out of the baselines: what is watched between one run and the next.

`limits` says what is in force and `derivation` how it comes out of baselines; `live_figures`, `alerts` and
`rule_groups` write the rules, `rule_tests` their unit tests, and `publishing` puts all of it in place. The rules are
generic: limits come to Prometheus as gauges, so a promotion changes numbers and not rules.
"""

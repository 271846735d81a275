"""The market data that the scenarios replay: one CSV a scenario, and the generator that wrote them."""

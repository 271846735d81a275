"""The reference forex platform: six HTTP services that do real, small, deterministic work.

Each runs in a process of its own::

    python -m demo.platform --service analysis-engine-service --port 8101

Prices come from a random-access process (`prices`), so any window of any instrument can be computed
without storage. The layers, each importing only from those above it::

    instruments                                what is traded
    prices, rolling, indicators                bars, and figures over them
    patterns, signals, regime, features,       one trading concept each
      models, strategies, backtest, transformations, sources,
      order_book, positions, gateway, ledger
    windows, responses, endpoint, routers.*    what comes in, what goes out, the 24 endpoints
    catalogue, examples                        which services there are, and what one may ask them
    metrics, faults, middleware, route,        how a service runs
      admin, app, server, __main__
    traffic                                    light background traffic
"""

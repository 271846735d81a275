"""The reference forex platform: six HTTP services that do small, real, deterministic work.

Each service runs in its own process::

    python -m demo.platform --service analysis-engine-service --port 8101

Prices come from a random-access process (`prices`): any window of any instrument is computed without storage. The
layers import only from the layers above them::

    instruments                                the traded currency pairs
    prices, rolling, indicators                bars, and figures computed from them
    patterns, signals, regime, features,       one trading concept per module
      models, strategies, backtest, transformations, sources,
      order_book, positions, gateway, ledger
    windows, responses, endpoint, routers.*    requests, responses, the endpoints
    catalogue, examples                        the services, and example requests to them
    metrics, faults, middleware, route,        how a service runs
      admin, app, server, __main__
    traffic                                    light background traffic
"""

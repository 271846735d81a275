"""Features, models, strategies, backtests and transformations on hand-made data."""

import math

import numpy as np
import pytest

from demo.platform.backtest import evaluate_positions, run_backtest
from demo.platform.features import FEATURE_NAMES, feature_matrix, latest_features
from demo.platform.instruments import INSTRUMENTS, InstrumentName
from demo.platform.models import MODELS, Model, dataset, evaluate, history, predict, train
from demo.platform.prices import bars
from demo.platform.strategies import STRATEGIES, breakout, mean_reversion, momentum, sma_crossover
from demo.platform.transformations import PIPELINES, TRANSFORMATIONS, run_pipeline

EUR_USD = INSTRUMENTS[InstrumentName.EUR_USD]
WINDOW = bars(EUR_USD, first_s=1_767_571_200, step_s=300, count=120)


def test_features_match_their_formulas() -> None:
    close, volume = WINDOW.close, WINDOW.volume
    values = latest_features(WINDOW, 5)
    assert values["price_momentum"] == pytest.approx(close[-1] / close[-6] - 1)
    assert values["volume_trend"] == pytest.approx(volume[-5:].mean() / volume[-10:].mean() - 1)
    assert values["volatility"] == pytest.approx(np.diff(np.log(close[-6:])).std(ddof=1))


def test_the_last_row_of_the_matrix_is_the_latest_features() -> None:
    matrix = feature_matrix(WINDOW, 14)
    assert matrix.shape == (120 - 28 + 1, 3)
    assert dict(zip(FEATURE_NAMES, matrix[-1], strict=True)) == pytest.approx(latest_features(WINDOW, 14))


def test_a_prediction_is_the_logistic_of_its_parts() -> None:
    model = MODELS["momentum-logit"]
    value, parts = predict(model, {"price_momentum": 0.0012, "volume_trend": 0.0, "volatility": 0.00035})
    # one scale of momentum: 0.41; volatility at its mean: 0; intercept 0.02
    assert parts == pytest.approx({"price_momentum": 0.41, "volume_trend": 0.0, "volatility": 0.0})
    assert value == pytest.approx(1 / (1 + math.exp(-0.43)))


@pytest.mark.parametrize(("momentum_ratio", "limit"), [(100.0, 1.0), (-100.0, 0.0)])
def test_extreme_features_give_a_probability(momentum_ratio: float, limit: float) -> None:
    features = {"price_momentum": momentum_ratio, "volume_trend": 0.0, "volatility": 0.0}
    assert predict(MODELS["momentum-logit"], features)[0] == pytest.approx(limit, abs=1e-12)


def test_a_volatility_is_not_negative() -> None:
    features = {"price_momentum": 0.0, "volume_trend": -100.0, "volatility": 0.0}
    assert predict(MODELS["volatility-linear"], features)[0] == 0.0


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda m: m.model_id)
def test_training_lowers_the_loss(model: Model) -> None:
    data = dataset(model, history(WINDOW))
    outcome = train(model, data, epochs=20, learning_rate=0.1)
    assert outcome.loss_after < outcome.loss_before


def test_one_step_of_training_is_the_gradient() -> None:
    model = MODELS["volatility-linear"]
    data = dataset(model, history(WINDOW))
    residuals = data.inputs @ np.array(model.weights) + model.intercept - data.targets
    outcome = train(model, data, epochs=1, learning_rate=0.5)
    assert outcome.intercept == pytest.approx(model.intercept - 0.5 * residuals.mean())
    expected = np.array(model.weights) - 0.5 * (residuals[:, None] * data.inputs).mean(axis=0)
    assert outcome.weights == pytest.approx(expected.tolist())


def test_the_target_is_the_return_of_the_next_bar() -> None:
    data = dataset(MODELS["momentum-logit"], history(WINDOW))
    assert len(data.inputs) == len(data.targets) == 92
    assert data.targets[-1] == float(WINDOW.close[-1] > WINDOW.close[-2])


def test_scores_agree_with_their_definitions() -> None:
    model = MODELS["momentum-logit"]
    data = dataset(model, history(WINDOW))
    chances = 1 / (1 + np.exp(-(data.inputs @ np.array(model.weights) + model.intercept)))
    up = data.targets == 1
    assert evaluate(model, data) == pytest.approx(
        {
            "accuracy": ((chances >= 0.5) == up).mean(),
            "log_loss": -np.log(np.where(up, chances, 1 - chances)).mean(),
            "brier": ((chances - up) ** 2).mean(),
            "base_rate": up.mean(),
        }
    )


RISING = np.linspace(1.0, 1.1, 60)


def test_strategies_take_the_side_they_describe() -> None:
    assert sma_crossover(RISING)[[28, 29, 59]].tolist() == [0, 1, 1]
    assert momentum(RISING)[[19, 20, 59]].tolist() == [0, 1, 1]
    assert breakout(RISING)[[19, 20, 59]].tolist() == [0, 1, 1]
    assert momentum(RISING[::-1])[-1] == -1


def test_mean_reversion_stands_against_a_jump() -> None:
    jump = np.append(1.0 + 0.0001 * (np.arange(40) % 2), 1.01)
    assert mean_reversion(jump)[-1] == -1
    assert mean_reversion(2.0 - jump)[-1] == 1
    assert mean_reversion(np.ones(40)).tolist() == [0.0] * 40


def test_a_breakout_is_held_until_the_other_side_breaks() -> None:
    flat = np.ones(25)
    path = np.concatenate([flat, [1.1], np.full(10, 1.05), [0.9], np.full(5, 1.0)])
    held = breakout(path)
    assert held[24] == 0
    assert held[25:36].tolist() == [1.0] * 11
    assert held[36:].tolist() == [-1.0] * 6


def test_a_backtest_earns_what_its_positions_earn() -> None:
    close = np.array([1.0, 1.1, 1.1, 0.99])
    result = evaluate_positions(np.array([1.0, 1.0, -1.0]), close, cost=np.zeros(3), capital=1_000.0, step_s=86_400)
    # +10 %, 0 %, then short through -10 %: 1000 · 1.1 · 1.0 · 1.1
    assert result.final_capital == pytest.approx(1_210)
    assert result.pnl == pytest.approx(210)
    assert (result.trades, result.max_drawdown) == (2, 0.0)
    assert result.win_rate == pytest.approx(2 / 3)
    gains = np.array([0.1, 0.0, 0.1])
    assert result.sharpe == pytest.approx(gains.mean() / gains.std() * math.sqrt(260))


def test_drawdown_and_costs_count_from_the_first_bar() -> None:
    close = np.array([1.0, 0.9, 0.9])
    result = evaluate_positions(np.array([1.0, 0.0]), close, cost=np.array([0.01, 0.01]), capital=100.0, step_s=60)
    # -10 % - 1 % to enter, then 1 % to leave: 100 · 0.89 · 0.99
    assert result.final_capital == pytest.approx(88.11)
    assert result.max_drawdown == pytest.approx(1 - 0.8811)
    assert result.win_rate == 0.0


def test_standing_aside_earns_nothing() -> None:
    result = evaluate_positions(np.zeros(2), np.array([1.0, 2.0, 3.0]), cost=np.ones(2), capital=5.0, step_s=60)
    assert (result.pnl, result.sharpe, result.trades, result.win_rate) == (0.0, 0.0, 0, 0.0)


def test_every_strategy_can_be_backtested() -> None:
    for strategy in STRATEGIES.values():
        result = run_backtest(strategy, EUR_USD, WINDOW, capital=10_000.0)
        assert 9_000 < result.final_capital < 11_000


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        # median 2, MAD 1: within 2 ± 3·1.4826
        ("clip_outliers", [1.0, 2.0, 3.0, 2.0, 99.0, 1.0, 3.0], [1, 2, 3, 2, 6.4478, 1, 3]),
        ("log_return", [1.0, math.e, math.e], [0, 1, 0]),
        ("smooth", [1.0, 3.0, 5.0], [1, 2, 4]),  # window 2
        ("standardise", [1.0, 3.0], [-1, 1]),
        ("standardise", [2.0, 2.0], [0, 0]),
        ("difference", [1.0, 3.0, 2.0], [0, 2, -1]),
    ],
)
def test_a_transformation_computes_its_rule(name: str, values: list[float], expected: list[float]) -> None:
    assert TRANSFORMATIONS[name].apply(np.array(values), 2) == pytest.approx(expected)


def test_a_pipeline_applies_its_steps_in_order() -> None:
    output = run_pipeline(PIPELINES["returns"], WINDOW.close, window=20)
    assert len(output) == 120
    assert (output.mean(), output.std()) == pytest.approx((0.0, 1.0), abs=1e-9)

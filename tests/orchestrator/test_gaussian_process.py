"""The Gaussian process: what it believes of few noisy values, and where it would try next."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from orchestrator import gaussian_process
from orchestrator.gaussian_process import Array, Coordinate, GaussianProcess

PLANE = [Coordinate(), Coordinate()]


def bowl(points: Array) -> Array:
    """Best at (0.3, 0.7), where it is 0."""
    return np.asarray(-((points[:, 0] - 0.3) ** 2) - (points[:, 1] - 0.7) ** 2)


def fitted(count: int = 20, noise: float = 0.0, seed: int = 0) -> GaussianProcess:
    rng = np.random.default_rng(seed)
    points = rng.random((count, 2))
    return GaussianProcess(PLANE, points, bowl(points) + noise * rng.normal(size=count))


def test_it_believes_what_it_saw_and_doubts_where_it_was_not() -> None:
    process = fitted()
    elsewhere = np.random.default_rng(1).random((50, 2))
    mean, deviation = process.predict(elsewhere)
    assert np.abs(mean - bowl(elsewhere)).max() < 0.1
    assert deviation.min() > process.predict(process.points)[1].max() / 10
    far = GaussianProcess([Coordinate()], np.array([[0.0], [0.1]]), np.array([1.0, 1.2]))
    deviations = far.predict(np.array([[0.05], [1.0]]))[1]
    assert deviations[0] < deviations[1]


def test_noise_is_told_from_signal() -> None:
    quiet, noisy = fitted(40), fitted(40, noise=0.15)
    assert noisy.kernel[-1] > quiet.kernel[-1] + 1.0


def test_the_gradient_of_the_fit_is_that_of_its_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = []

    def spy(cost, start, **keys):  # type: ignore[no-untyped-def]
        errors.append(optimize.check_grad(lambda x: cost(x)[0], lambda x: cost(x)[1], start))
        return minimize(cost, start, **keys)

    minimize = optimize.minimize
    monkeypatch.setattr(gaussian_process.optimize, "minimize", spy)
    fitted(8, noise=0.1)
    assert errors
    assert max(errors) < 1e-4


def test_with_little_to_learn_it_proposes_the_best_place() -> None:
    point = fitted(30).propose(np.random.default_rng(0), explore=False)
    assert point == pytest.approx([0.3, 0.7], abs=0.12)


def test_many_points_share_a_kernel_fitted_to_some_and_all_are_believed() -> None:
    rng = np.random.default_rng(3)
    points = rng.random((600, 2))
    values = bowl(points) + 0.05 * rng.normal(size=600)
    some = np.linspace(0, 599, 256).round().astype(int)
    values[some[1] - 1] += 3.0  # a point that the fit does not see
    whole = GaussianProcess(PLANE, points, values)
    fitted_to_some = GaussianProcess(PLANE, points[some], values[some]).kernel
    scale = np.log(values.var() / values[some].var())  # values are standardised by all
    assert whole.kernel == pytest.approx(fitted_to_some - [0, 0, scale, scale], abs=0.2)
    here = points[some[1] - 1 : some[1]]
    unseen = GaussianProcess(PLANE, points[some], values[some])
    assert whole.predict(here)[0][0] > unseen.predict(here)[0][0] + 0.02


def test_the_same_draws_give_the_same_proposal() -> None:
    first, again = (fitted().propose(np.random.default_rng(5), explore=True) for _ in range(2))
    assert (first == again).all()


def test_proposals_are_values_that_the_coordinates_have() -> None:
    coordinates = [Coordinate(), Coordinate(4), Coordinate(3, ordered=False)]
    rng = np.random.default_rng(0)
    points = rng.random((12, 3))
    points[:, 1] = rng.integers(4, size=12) / 3
    points[:, 2] = rng.integers(3, size=12) / 2
    process = GaussianProcess(coordinates, points, points.sum(axis=1))
    for seed in range(5):
        point = process.propose(np.random.default_rng(seed), explore=seed % 2 == 0)
        assert 0.0 <= point[0] <= 1.0
        assert point[1] in (0.0, 1 / 3, 2 / 3, 1.0)
        assert point[2] in (0.0, 0.5, 1.0)


def test_categories_are_equally_far_from_each_other() -> None:
    points = np.array([[0.0], [0.0], [0.5], [1.0]])
    process = GaussianProcess([Coordinate(3, ordered=False)], points, np.array([1.0, 1, 0, 0]))
    mean, _ = process.predict(np.array([[0.5], [1.0]]))
    assert mean[0] == pytest.approx(mean[1])


def test_a_point_that_is_supposed_is_doubted_less_and_changes_no_belief() -> None:
    process, out = fitted(6), np.array([[0.9, 0.1]])
    supposing = process.supposing(out)
    assert supposing.predict(out)[1] < process.predict(out)[1]
    assert supposing.predict(out)[0] == pytest.approx(process.predict(out)[0], abs=0.02)
    assert process.supposing(np.empty((0, 2))) is process


def test_exploring_holds_a_repeated_measurement_for_less_than_a_new_one() -> None:
    process = fitted(20, noise=0.1)
    seen, new = process.points[:1], np.array([[0.99, 0.01]])
    lessened = [
        process.improvement(p, explore=True) / process.improvement(p, explore=False)
        for p in (seen, new)
    ]
    assert 0.0 < lessened[0] < lessened[1] < 1.0


@pytest.mark.parametrize("count", [1, 5])
def test_equal_values_and_a_single_point_are_no_fault(count: int) -> None:
    points = np.random.default_rng(0).random((count, 2))
    process = GaussianProcess(PLANE, points, np.full(count, 0.5))
    point = process.propose(np.random.default_rng(0), explore=False)
    assert np.isfinite(point).all()
    assert process.predict(points)[0] == pytest.approx(0.5)

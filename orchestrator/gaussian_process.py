"""A Gaussian process over a unit cube, for few, noisy values, and where to try next.

Knows no trials and no domains: points are rows of coordinates from 0 to 1, larger values are
better. Why not a library's: what a fine-tuning run measures is noisy by about as much as good
configurations differ. Expected improvement over the best value *measured* then chases luck; here
it is over the best value *believed* (the largest posterior mean at a point that was tried), and
the prior of the noise allows for it. It needs numpy and scipy, not torch, and takes milliseconds.

Matern 5/2 kernel with one length a coordinate; lengths, signal and noise are the most probable
ones under lognormal priors. Categories differ or are the same (Hamming distance).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, special

Array: TypeAlias = NDArray[np.float64]

_JITTER = 1e-8
_LENGTH, _LENGTH_SPREAD = 0.5, 0.8
"""Prior of a length, times the square root of the number of coordinates: centre, sd of its log."""
_SIGNAL_SPREAD = 1.0
_NOISE, _NOISE_SPREAD = 0.05, 1.5
"""Prior of the noise's variance, in units of the variance of the values."""
_BOUND = 8.0
_STARTS = ((0.0, 0.0), (-1.0, 1.0), (0.5, 2.0))
"""(log length, log noise) that the fit starts from, as distances from the priors' centres."""
_FITTED = 256
"""The most points that the kernel is fitted to. A fit asks for the posterior about a hundred times,
each cubic in the points: with a thousand, ten seconds for lengths that hardly change any more."""
_ANYWHERE, _NEAR, _CLOSER, _KEPT, _ROUNDS = 1024, 128, 32, 4, 6
"""Candidates: over the cube, near each of the best known points, near each of those kept, round by
round closer."""


@dataclass(frozen=True)
class Coordinate:
    """One coordinate. levels: how many evenly spaced values it has, 2 or more; None: all."""

    levels: int | None = None
    ordered: bool = True


class GaussianProcess:
    """The posterior after points and their values.

    Args:
        coordinates: what each column is.
        points: rows of shares from 0 to 1; at least one row.
        values: one a row, finite; equal ones are allowed.
        kernel: logarithms of the inverse squared lengths, of the signal's and of the noise's
            variance, to take as they are; None: fit them, to 256 of the points spread evenly
            over their order where there are more. The posterior is of all of them.
    """

    def __init__(
        self,
        coordinates: Sequence[Coordinate],
        points: Array,
        values: Array,
        kernel: Array | None = None,
    ) -> None:
        self.coordinates = tuple(coordinates)
        self.points = points
        self.values = values
        self._categories = np.array([not c.ordered for c in self.coordinates])
        self._centre, self._scale = float(values.mean()), float(values.std()) or 1.0
        standard = (values - self._centre) / self._scale
        squares = self._squares(points)
        if kernel is None:
            some = np.linspace(0, len(points) - 1, min(len(points), _FITTED)).round().astype(int)
            kernel = _most_probable(squares[np.ix_(some, some)], standard[some])
        self.kernel = kernel
        self._factor = _factor(self.kernel, squares)
        self._weights = linalg.cho_solve((self._factor, True), standard)
        self._believed = float((_covariance(self.kernel, squares) @ self._weights).max())

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, without noise, in the units of the values."""
        mean, deviation = self._predict(points)
        return mean * self._scale + self._centre, deviation * self._scale

    def supposing(self, points: Array) -> GaussianProcess:
        """The posterior if these points gave what is expected of them, under the same kernel."""
        if not len(points):
            return self
        return GaussianProcess(
            self.coordinates,
            np.concatenate([self.points, points]),
            np.concatenate([self.values, self.predict(points)[0]]),
            self.kernel,
        )

    def improvement(self, points: Array, *, explore: bool) -> Array:
        """Expected improvement over the best value believed so far, in standard units.

        Args:
            points: rows.
            explore: lessen it where another noisy measurement would tell little (augmented
                expected improvement: Huang et al. 2006, "Global optimization of stochastic
                black-box systems", equation 15).
        """
        mean, deviation = self._predict(points)
        z = (mean - self._believed) / deviation
        density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
        gain = deviation * (density + z * special.ndtr(z))
        if explore:
            noise = math.exp(self.kernel[-1])
            gain = gain * (1.0 - np.sqrt(noise / (deviation**2 + noise)))
        return np.asarray(gain)

    def propose(self, rng: np.random.Generator, *, explore: bool) -> Array:
        """The point of the largest expected improvement that a search over the cube finds."""
        known = self.points[np.argsort(-self._predict(self.points)[0])[:_KEPT]]
        near = self._moved(np.repeat(known, _NEAR, axis=0), 0.2, rng)
        anywhere = rng.random((_ANYWHERE, len(self.coordinates)))
        candidates = self._snapped(np.concatenate([anywhere, near]))
        gains = self.improvement(candidates, explore=explore)
        for step in range(_ROUNDS):
            best = np.argsort(-gains)[:_KEPT]
            closer = np.repeat(candidates[best], _CLOSER, axis=0)
            moved = self._snapped(self._moved(closer, 0.1 * 0.5**step, rng))
            candidates = np.concatenate([candidates[best], moved])
            gains = np.concatenate([gains[best], self.improvement(moved, explore=explore)])
        return np.asarray(candidates[np.argmax(gains)])

    def _predict(self, points: Array) -> tuple[Array, Array]:
        cross = _covariance(self.kernel, self._squares(points))
        solved = linalg.solve_triangular(self._factor, cross.T, lower=True)
        variance = np.maximum(math.exp(self.kernel[-2]) - (solved**2).sum(axis=0), 1e-12)
        return cross @ self._weights, np.sqrt(variance)

    def _snapped(self, points: Array) -> Array:
        """Each coordinate at the nearest value that it has."""
        snapped = np.clip(points, 0.0, 1.0)
        for column, coordinate in enumerate(self.coordinates):
            if coordinate.levels is not None:
                last = coordinate.levels - 1
                snapped[:, column] = np.round(snapped[:, column] * last) / last
        return snapped

    def _moved(self, points: Array, distance: float, rng: np.random.Generator) -> Array:
        """Neighbours: some coordinates, at least one, moved; levels also jump."""
        count, width = points.shape
        chosen = rng.random((count, width)) < 0.5
        chosen[np.arange(count), rng.integers(width, size=count)] = True
        moved = points + chosen * rng.normal(0.0, distance, (count, width))
        for column, coordinate in enumerate(self.coordinates):
            if coordinate.levels is not None:
                jumps = chosen[:, column] & (rng.random(count) < 0.5)
                moved[jumps, column] = rng.random(int(jumps.sum()))
        return np.asarray(moved)

    def _squares(self, points: Array) -> Array:
        """Squared differences to the known points; the last axis is the coordinate."""
        squares = (points[:, None, :] - self.points[None, :, :]) ** 2
        squares[:, :, self._categories] = squares[:, :, self._categories] > 0
        return np.asarray(squares)


def _covariance(kernel: Array, squares: Array) -> Array:
    root = np.sqrt(5.0 * (squares @ np.exp(kernel[:-2])))
    return np.asarray(math.exp(kernel[-2]) * (1 + root + root**2 / 3) * np.exp(-root))


def _factor(kernel: Array, squares: Array) -> Array:
    noise = math.exp(kernel[-1]) + _JITTER
    covariance = _covariance(kernel, squares) + noise * np.eye(len(squares))
    return np.asarray(linalg.cholesky(covariance, lower=True, check_finite=False))


def _most_probable(squares: Array, values: Array) -> Array:
    """The kernel of the largest posterior probability that a few starts find."""
    count, _, width = squares.shape
    length = math.log(_LENGTH * math.sqrt(width))
    centre = np.array([-2.0 * length] * width + [0.0, math.log(_NOISE)])
    spread = np.array([2.0 * _LENGTH_SPREAD] * width + [_SIGNAL_SPREAD, _NOISE_SPREAD])

    def cost(kernel: Array) -> tuple[float, Array]:
        """Minus the logarithm of the posterior, and its gradient."""
        scales, signal = np.exp(kernel[:-2]), math.exp(kernel[-2])
        root = np.sqrt(5.0 * (squares @ scales))
        decay = np.exp(-root)
        factor = _factor(kernel, squares)
        inverse = linalg.cho_solve((factor, True), np.eye(count), check_finite=False)
        weights = inverse @ values
        outer = inverse - np.outer(weights, weights)
        slope = -signal * 5.0 / 6.0 * (1 + root) * decay
        gradient = np.empty_like(kernel)
        gradient[:-2] = 0.5 * np.einsum("ij,ij,ijk->k", outer, slope, squares) * scales
        gradient[-2] = 0.5 * (outer * signal * (1 + root + root**2 / 3) * decay).sum()
        gradient[-1] = 0.5 * math.exp(kernel[-1]) * np.trace(outer)
        off = (kernel - centre) / spread
        fit = 0.5 * values @ weights + np.log(np.diag(factor)).sum()
        return float(fit + 0.5 * off @ off), gradient + off / spread

    bounds = list(zip(centre - _BOUND, centre + _BOUND, strict=True))
    found = []
    for lengths, noise in _STARTS:
        start = centre + np.array([-2.0 * lengths] * width + [0.0, noise])
        found.append(optimize.minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds))
    return np.asarray(min(found, key=lambda result: float(result.fun)).x)

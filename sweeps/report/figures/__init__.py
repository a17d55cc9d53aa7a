"""The report's figures: pure functions, data in, SVG text out.

Read nothing and decide nothing: which trials are shown, what a caption claims and how a legend
reads is the page's. Drawn by hand, because a library's drawing is a picture without names, classes
and trial numbers (matplotlib) or megabytes of script that a page would load (plotly).
"""

from sweeps.report.figures.comparison import Estimate, estimates, importance, summary_words
from sweeps.report.figures.curves import (
    Progress,
    best_so_far,
    distribution,
    learning_curves,
    unit_of_time,
)
from sweeps.report.figures.drawing import look, sample, swatch
from sweeps.report.figures.points import best_of, parallel, slice_of
from sweeps.report.figures.population import lineage, schedule

__all__ = [
    "Estimate",
    "Progress",
    "best_of",
    "best_so_far",
    "distribution",
    "estimates",
    "importance",
    "learning_curves",
    "lineage",
    "look",
    "parallel",
    "sample",
    "schedule",
    "slice_of",
    "summary_words",
    "swatch",
    "unit_of_time",
]

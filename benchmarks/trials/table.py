"""The table of a size: medians and spreads of every row, ratios, and whether the bounds hold.

Pure: rows in, Markdown lines out. A ratio is one of medians, all measured on the same machine; a
bound whose rows are not all there is shown as not measured, never as holding. A run that failed
is counted and shown, and in no median.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.bounds import Bound, bounds_table, ratio
from benchmarks.saved_rows import Row, table

PEERS = {
    "hf_optuna": "Trainer.hyperparameter_search, Optuna",
    "hf_ray": "Trainer.hyperparameter_search, Ray",
    "hf_ray_pbt": "Trainer.hyperparameter_search, Ray, PBT",
    "ray_fifo": "Ray Tune, function trainable",
    "ray_asha": "Ray Tune, function trainable, ASHA",
    "ray_pbt": "Ray Tune, function trainable, PBT",
    "syne_random": "Syne Tune, local backend, random search",
    "syne_asha": "Syne Tune, local backend, ASHA",
}
FLOORS = {
    "floor": "floor: bare Trainer, one warm process a slot",
    "floor_no_saves": "the same, nothing saved",
}
NAMES = {
    **FLOORS,
    **{f"ours_{m}": f"ours, {m}" for m in ("grid", "random", "bayes", "asha", "pbt")},
    **PEERS,
}
PARTS = {"imports": "importing torch and transformers' Trainer", "ray": "starting Ray"}


def median(rows: Mapping[str, Row], name: str, figure: str = "seconds") -> float | None:
    """The median of a figure over a row's runs; None where there is none."""
    values = _values(rows, name, figure)
    return statistics.median(values) if values else None


def bounds(size: str, rows: Mapping[str, Row]) -> list[Bound]:
    """What must hold at this size."""
    return _tiny_bounds(rows) if size == "tiny" else _long_bounds(rows)


def page(size: str, job: Mapping[str, Any], rows: Mapping[str, Row]) -> list[str]:
    """The whole page as Markdown lines."""
    lines = [f"# What trials cost: {_title(size)}", "", *_job_text(job), "", *_main_table(rows)]
    if parts := _parts_table(rows):
        lines += ["", "## Command to first optimizer step", "", *parts]
    lines += ["", "## Bounds", "", *bounds_table(bounds(size, rows))]
    notes = sorted({row["note"] for row in rows.values() if row.get("note")})
    notes += [
        f"{NAMES.get(name, PARTS.get(name, name))}: failed: {text}"
        for name, row in rows.items()
        for text in dict.fromkeys(row.get("failures", ()))
    ]
    return [*lines, *(line for note in notes for line in ("", note))]


def _tiny_bounds(rows: Mapping[str, Row]) -> list[Bound]:
    peers = [median(rows, name) for name in PEERS]
    fastest = None if None in peers else min(p for p in peers if p is not None)
    found = [
        Bound(
            "pbt / Trainer.hyperparameter_search with Ray and PBT, whole or by epoch, the worse",
            _worse(rows, "ours_pbt", "hf_ray_pbt"),
            1 / 7,
            runs=_runs(rows, "ours_pbt", "hf_ray_pbt"),
        ),
        Bound(
            "pbt / our own grid",
            ratio(median(rows, "ours_pbt"), median(rows, "ours_grid")),
            1.5,
            runs=_runs(rows, "ours_pbt", "ours_grid"),
        ),
    ]
    found += [
        Bound(
            f"{method} / the fastest peer",
            ratio(median(rows, f"ours_{method}"), fastest),
            1.0,
            strict=True,
            runs=_runs(rows, f"ours_{method}", *PEERS),
        )
        for method in ("grid", "random")
    ]
    return [*found, *_first_step_bounds(rows)]


def _worse(rows: Mapping[str, Row], name: str, peer: str) -> float | None:
    """The ratio of the whole times or that of the times by epoch trained: the larger one."""
    whole = ratio(median(rows, name), median(rows, peer))
    epochs = ratio(median(rows, peer, "epochs"), median(rows, name, "epochs"))
    return None if whole is None or epochs is None else whole * max(1.0, epochs)


def _long_bounds(rows: Mapping[str, Row]) -> list[Bound]:
    floor, boundary = median(rows, "floor"), median(rows, "floor", "boundary_s")
    alone = _runs(rows, "floor")
    size = [
        Bound("seconds of training, by the floor", floor, 180.0, at_most=False, runs=alone),
        Bound("seconds of the floor's boundary", boundary, 8.0, at_most=False, runs=alone),
        Bound("seconds of the floor's boundary", boundary, 13.0, runs=alone),
    ]
    efficiency = [
        Bound(
            f"efficiency of {method}: floor / ours",
            ratio(floor, median(rows, f"ours_{method}")),
            limit,
            at_most=False,
            runs=_runs(rows, "floor", f"ours_{method}"),
        )
        for method, limit in (("grid", 0.92), ("bayes", 0.92), ("pbt", 0.88))
    ]
    return [*size, *efficiency]


def _first_step_bounds(rows: Mapping[str, Row]) -> list[Bound]:
    unavoidable = _unavoidable(rows)
    return [
        Bound(
            f"{NAMES[name]}: command to first step / what cannot be avoided",
            ratio(median(rows, name, "first_step_s"), unavoidable),
            1.4,
            runs=_runs(rows, name, *PARTS),
        )
        for name in NAMES
        if name.startswith("ours_")
    ]


def _unavoidable(rows: Mapping[str, Row]) -> float | None:
    parts = [median(rows, part) for part in PARTS]
    return None if None in parts else sum(p for p in parts if p is not None)


def _main_table(rows: Mapping[str, Row]) -> list[str]:
    floor, grid = median(rows, "floor"), median(rows, "ours_grid")
    bare = median(rows, "floor_no_saves")
    lines = []
    for name in (name for name in NAMES if name in rows):
        seconds = median(rows, name)
        lines.append(
            [
                NAMES[name],
                _count(rows[name]),
                _seconds(rows, name),
                _spread(rows, name),
                ratio(seconds, floor),
                ratio(seconds, bare),
                ratio(seconds, grid),
                median(rows, name, "epochs"),
                median(rows, name, "checkpoints"),
                median(rows, name, "best"),
                *(median(rows, name, figure) for figure in _SECONDS),
                *(_mega(median(rows, name, figure)) for figure in _BYTES),
            ]
        )
    headings = ["", ">runs", ">s", ">min..max", ">/ floor", ">/ without saves"]
    headings += [">/ our grid", ">epochs", ">checkpoints", ">best"]
    return table([*headings, *_SECONDS.values(), *_BYTES.values()], lines)


_SECONDS = {
    "first_step_s": ">first step s",
    "boundary_s": ">boundary s",
    "trial_start_s": ">trial start s",
    "perturbation_s": ">perturbation s",
    "turn_s": ">turn s",
}
_BYTES = {
    "written_bytes": ">written MB",
    "driver_peak_bytes": ">driver MB",
    "worker_peak_bytes": ">worker MB",
}


def _parts_table(rows: Mapping[str, Row]) -> list[str]:
    parts = {name: words for name, words in PARTS.items() if name in rows}
    if not parts:
        return []
    lines: list[Sequence[Any]] = [
        [words, _seconds(rows, name), _spread(rows, name)] for name, words in parts.items()
    ]
    total = _unavoidable(rows)
    if total is not None:
        lines.append(["together: what cannot be avoided", f"{total:.2f}", ""])
    lines += [
        [
            NAMES[name],
            _seconds(rows, name, "first_step_s"),
            _spread(rows, name, "first_step_s"),
        ]
        for name in NAMES
        if name in rows and median(rows, name, "first_step_s") is not None
    ]
    return table(["", ">s", ">min..max"], lines)


def _title(size: str) -> str:
    return {"tiny": "the tiny job"}.get(size, "boundaries of about ten seconds")


def _job_text(job: Mapping[str, Any]) -> list[str]:
    return [
        f"{job['trials']} trials x {job['epochs']} epochs of {job['train_rows']} rows, batches of"
        f" {job['batch_size']}, at most {job['max_length']} tokens; evaluation on"
        f" {job['validation_rows']} rows and save after each epoch; {job['slots']} slots. Medians;"
        " times of whole processes from command to exit, but for the floor."
    ]


def _runs(rows: Mapping[str, Row], *names: str) -> frozenset[str]:
    return frozenset(
        run["run"] for name in names for run in rows.get(name, {}).get("runs", ()) if "run" in run
    )


def _count(row: Row) -> str:
    failed = len(row.get("failures", ()))
    return f"{len(row['runs'])}" + (f", {failed} failed" if failed else "")


def _values(rows: Mapping[str, Row], name: str, figure: str) -> list[float]:
    runs = rows.get(name, {}).get("runs", [])
    return [run[figure] for run in runs if run.get(figure) is not None]


def _seconds(rows: Mapping[str, Row], name: str, figure: str = "seconds") -> str:
    value = median(rows, name, figure)
    return "-" if value is None else f"{value:.2f}"


def _spread(rows: Mapping[str, Row], name: str, figure: str = "seconds") -> str:
    values = _values(rows, name, figure)
    return f"{min(values):.2f}..{max(values):.2f}" if values else "-"


def _mega(value: float | None) -> float | None:
    return None if value is None else value / 1e6

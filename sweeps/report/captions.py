"""The sentence below each figure: what it shows, from its data.

A caption states what can be read off the figure, with numbers, and claims nothing that `claims`
would not: it tells values and counts, and of an order only that it is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.events import Config
from search_spaces.domains import is_number
from sweeps.report.claims import is_testable, outcome, uncorrected
from sweeps.report.model import (
    AXES,
    Axis,
    Drawn,
    Edf,
    FinalRow,
    Importance,
    Method,
    Metric,
    Pair,
    TrialRow,
)
from sweeps.report.repetition import Lineage, Repetition, Stretch
from sweeps.report.statistics import FEWEST_FOR_INTERVAL
from sweeps.report.wording import (
    crowning_each,
    differs,
    epochs_each,
    epochs_text,
    figure,
    listed,
    sentence,
    span,
    spread,
    trained_text,
)
from sweeps.text import config_text, count, setting, short_names

_TENTH = 0.1


def of_report(
    methods: Sequence[Method], final: Sequence[FinalRow], pairs: Sequence[Pair], metric: Metric
) -> dict[str, str]:
    """Captions of what spans methods; a key is there when its part has something to show."""
    found = {"budget": _budget(methods)}
    for axis in AXES:
        caption = _best_so_far(methods, axis, metric)
        if caption:
            found[f"best_so_far.{axis}"] = caption
    if any(row.validation or row.test for row in final):
        found["final"] = _final(final, metric) + _default(final)
    if pairs:
        found["pairwise"] = _pairwise(pairs)
    return found


def _budget(methods: Sequence[Method]) -> str:
    low, high = spread([epochs_each(m) for m in methods])
    finalists = any(crowning_each(m) for m in methods)
    if len(methods) == 1:
        also = f", and {epochs_text(crowning_each(methods[0]))} of finalists" if finalists else ""
        return f"{sentence(methods[0].label)} trained {epochs_text(high)} a repetition{also}."
    whole = spread([epochs_each(m) + crowning_each(m) for m in methods])
    if differs(low, high):
        also = f", and {figure(whole[0])} to {figure(whole[1])} with finalists" if finalists else ""
        return f"Unequal budgets: from {figure(low)} to {figure(high)} epochs a repetition{also}."
    if differs(*whole):
        told = listed([f"{m.label} {trained_text(m)}" for m in methods])
        return f"Unequal budgets, search + finalists: {told} epochs a repetition."
    also = f", and {epochs_text(whole[1])} with finalists" if finalists else ""
    return f"Equal budgets: {epochs_text(high)} a repetition{also}, within 5 %."


def _best_so_far(methods: Sequence[Method], axis: str, metric: Metric) -> str:
    """Where the means stand at the most that all methods spent."""
    bands = {m.label: m.bands[axis] for m in methods if axis in m.bands}
    if not bands:
        return ""
    at = min(band.x[-1] for band in bands.values())
    sign = -1.0 if metric.goal == "maximize" else 1.0
    values: dict[str, float] = {}
    for label, band in bands.items():
        reached = [mean for x, mean in zip(band.x, band.mean, strict=True) if x <= at]
        if reached:
            values[label] = reached[-1]
    order = sorted(values.items(), key=lambda item: sign * item[1])
    told = listed([f"{label} {figure(value)}" for label, value in order])
    held = {m.cost.device for m in methods if m.cost.device_s > 0}
    device = held.pop().upper() if len(held) == 1 else "device"
    spent = {"epochs": epochs_text(at)}.get(axis, span(at))
    kind = {"device_s": f" of {device} time", "wall_s": " of wall time"}.get(axis, "")
    most = "the most that every method spent" if len(bands) > 1 else "all that was spent"
    text = f"Best validation {metric.label} after {spent}{kind}, {most}: {told}."
    few = [m for m in methods if 0 < len({r.seed for r in m.repetitions}) < FEWEST_FOR_INTERVAL]
    if few:
        text += " No claim: fewer than 3 repetitions."
    return text


def _final(final: Sequence[FinalRow], metric: Metric) -> str:
    gaps = [(row.label, row.gap.mean) for row in final if row.gap is not None]
    several = any(len(row.gap.values) > 1 for row in final if row.gap is not None)
    if not gaps:
        return (
            "Validation values only. Each is the best of many looks at the same examples, so it is"
            " optimistic."
        )
    sign = 1.0 if metric.goal == "maximize" else -1.0
    label, most = max(gaps, key=lambda gap: sign * gap[1])
    if sign * most <= 0:
        return (
            "No selected checkpoint does worse on test than on validation"
            f"{', on average' if several else ''}. Validation values are optimistic all the same:"
            " each is the best of many."
        )
    return (
        f"Validation values are the best of many looks, so optimistic: on test, {label} is"
        f" {figure(abs(most))} worse{' on average' if several else ''}"
        f"{', the widest gap' if len(gaps) > 1 else ''}."
    )


def _default(final: Sequence[FinalRow]) -> str:
    """What the default configuration is, as far as its names are searched."""
    configs = [row.config for row in final if row.config]
    return f" The default configuration is {config_text(configs[0])}." if configs else ""


def _pairwise(pairs: Sequence[Pair]) -> str:
    if len(pairs) == 1:
        return pairs[0].claim
    kinds = [outcome(pair) for pair in pairs]
    if all(kind == "none" for kind in kinds):
        return (
            "No claim: any order may be chance, with fewer than 3 shared seeds or with differences"
            " that are the same at each."
        )
    told: list[str] = []
    of = count(len(pairs), "pair")
    passed, beyond = kinds.count("significant"), kinds.count("interval")
    if any(is_testable(pair) for pair in pairs):
        are = "are" if passed > 1 else "is"
        told.append(f"{passed or 'none'} of {of} {are} significant (Holm)")
    if beyond or not told:
        told.append(
            "0 lies outside the 95 % interval of the difference in"
            f" {beyond or 'none'} of {of}{uncorrected(pairs)}"
        )
    shown = passed + beyond
    others = f" Every {'other ' if shown else ''}order may be chance." if shown < len(pairs) else ""
    return f"{sentence('; '.join(told))}.{others}"


def of_method(method: Method, ranking: Sequence[TrialRow], metric: Metric) -> dict[str, str]:
    """Captions of one method's figures; a key is there when its figure has something to show.

    Args:
        method: all of it but its captions.
        ranking: its trials in the search, the best first.
    """
    valued = [row for row in ranking if row.value is not None]
    found = {
        "importance": _importance(method.importance, method.space),
        "slices": _slices(method.space, valued),
        "parallel": _parallel(method.configurations, valued, metric),
        "learning": _learning(method.learning, valued),
        "edf": _edf(method.edf, metric),
        "lineage": _lineage(method.repetitions),
        "schedule": _schedule(method.repetitions, metric),
    }
    return {name: caption for name, caption in found.items() if caption}


def _importance(importance: Importance, space: Sequence[Axis]) -> str:
    if not importance.shares:
        return ""
    labels = {axis.name: axis.label for axis in space}
    name, share = next(iter(importance.shares.items()))
    return (
        f"{labels.get(name, name)} accounts for {share:.0%} of being among the best tenth of"
        f" {count(importance.trials, 'finished trial')} (PED-ANOVA)."
    )


def _slices(space: Sequence[Axis], valued: Sequence[TrialRow]) -> str:
    if not space or not valued:
        return ""
    top = valued[: max(1, round(_TENTH * len(valued)))]
    told = [f"{axis.label} {_range([row.config.get(axis.name) for row in top])}" for axis in space]
    who = "The best trial has" if len(top) == 1 else f"The best {len(top)} trials have"
    return f"{who} {listed(told[:4])}."


def _range(values: Sequence[object]) -> str:
    """`3e-05`, `1e-05 to 3e-05`, or the words there are."""
    numbers = [float(v) for v in values if is_number(v)]
    if len(numbers) == len(values):
        low, high = min(numbers), max(numbers)
        return setting(low) if low == high else f"{setting(low)} to {setting(high)}"
    return listed(list(dict.fromkeys(setting(v) for v in values))[:4])


def _parallel(configurations: Drawn, valued: Sequence[TrialRow], metric: Metric) -> str:
    if not valued:
        return ""
    best = valued[0]
    who = f"The best of {configurations.of:,} trials" if configurations.of > 1 else "The only trial"
    text = f"{who}, {best.key}, reached {metric.label} {figure(best.value)} with"
    text += f" {config_text(best.config)}."
    drawn = len(configurations.lines)
    return text + (_left_out(drawn, configurations.of) if drawn < configurations.of else "")


def _left_out(drawn: int, of: int) -> str:
    return f" Drawn are {drawn:,} of {of:,}: the best, and a sample of the others."


def _learning(learning: Drawn, valued: Sequence[TrialRow]) -> str:
    if not learning.lines:
        return ""
    ended = [row for row in valued if row.last is not None]
    fallen = sum(row.last != row.value for row in ended)
    if len(ended) > 1:
        whose = "their" if fallen > 1 else "its"
        who = f"{fallen:,}" if fallen else "None"
        text = f"{who} of {len(ended):,} trials ended away from {whose} best evaluation."
    elif ended:
        text = f"The only trial ended {'away from' if fallen else 'at'} its best evaluation."
    else:
        text = "No trial has a finite value."
    drawn = len(learning.lines)
    return text + (_left_out(drawn, learning.of) if drawn < learning.of else "")


def _edf(edf: Edf, metric: Metric) -> str:
    if not edf.trials:
        return ""
    best = edf.x[-1] if metric.goal == "maximize" else edf.x[0]
    if edf.trials == 1:
        return f"The only trial reached {metric.label} {figure(best)}."
    return (
        f"Half of {edf.trials:,} trials reached {metric.label}"
        f" {figure(reached_by_half(edf, metric))} or better; the best {figure(best)}."
    )


def reached_by_half(edf: Edf, metric: Metric) -> float:
    """The best value that half of the trials at least are as good as."""
    steps = list(zip(edf.x, edf.share, strict=True))
    if metric.goal == "minimize":
        return next(x for x, share in steps if share >= 0.5)
    # Shares count the trials up to a value and it too; as good as it are the others and itself.
    at_least = [x for x, share in steps if 1.0 - share + 1.0 / edf.trials >= 0.5 - 1e-9]
    return at_least[-1]


def _lineage(repetitions: Sequence[Repetition]) -> str:
    lineages = [r.lineage for r in repetitions if r.lineage is not None]
    exploits = sum(lineage.of_exploits for lineage in lineages)
    if not any(lineage.members for lineage in lineages):
        return ""
    parents = [_ancestors(lineage) for lineage in lineages if lineage.winner]
    text = f"{count(exploits, 'exploit')} over {count(len(lineages), 'population')}."
    if parents:
        low, high = spread(parents)
        told = figure(high) if low == high else f"{figure(low)} to {figure(high)}"
        text += f" The winner's training is that of {told} member{'s' if high != 1 else ''}."
    cut = sum(lineage.of_members - len(lineage.members) for lineage in lineages)
    return text + (f" {count(cut, 'member')} not drawn." if cut else "")


def _ancestors(lineage: Lineage) -> int:
    return len({stretch.trial for stretch in lineage.winner})


def _schedule(repetitions: Sequence[Repetition], metric: Metric) -> str:
    """Of the repetition that selected the best value: the one that is drawn."""
    sign = 1.0 if metric.goal == "maximize" else -1.0
    found = [
        (sign * r.selected.value, r.study, r.lineage.winner)
        for r in repetitions
        if r.selected is not None and r.lineage is not None and r.lineage.winner
    ]
    if not found:
        return ""
    _, study, winner = max(found, key=lambda one: one[0])
    of = f" of {study}" if len(repetitions) > 1 else ""
    if len(winner) == 1:
        return f"The winner{of} kept one configuration throughout: {config_text(winner[0].config)}."
    return f"The schedule of the winner{of}: {_changes(winner)}."


def _changes(winner: Sequence[Stretch]) -> str:
    """Each hyperparameter from its first value to its last, where it changed."""
    before, after = winner[0].config, winner[-1].config
    short = short_names(after)
    moved = [name for name in after if len({repr(s.config.get(name)) for s in winner}) > 1]
    told = [f"{short[n]} {_value(before, n)} to {_value(after, n)}" for n in moved]
    epoch = figure(winner[-1].end_epoch)
    return (listed(told) if told else "no value changed") + f" by epoch {epoch}"


def _value(config: Config, name: str) -> str:
    return setting(config[name]) if name in config else "-"

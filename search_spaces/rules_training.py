"""Rules between training arguments: what the Trainer would refuse later, and what pbt asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search_spaces.domains import Choice, Constant, Domain, LogUniform, Uniform, is_number
from search_spaces.draft import Draft
from search_spaces.errors import shown
from search_spaces.mid_run import METRIC_DRIVEN
from search_spaces.parameters import numbers
from search_spaces.parts import canonical_metric
from search_spaces.tree import KeyPath

_BATCH = ("per_device_train_batch_size", "effective_batch_size", "gradient_accumulation_steps")
_WHOLE = "FULL_STATE_DICT"


def check(draft: Draft) -> None:
    """Add the faults between training arguments."""
    _best_model(draft)
    _eval_steps(draft)
    _precision(draft)
    _loader(draft)
    _batch(draft)
    _sharding(draft)
    _warmup(draft)
    _schedules(draft)
    _steps(draft)


def _path(draft: Draft, name: str) -> KeyPath:
    """Return where a setting is given: searched, constant, or else the whole section."""
    if name in draft.space:
        return ("parameters", name)
    if draft.has("training_arguments", name):
        return ("training_arguments", name)
    return ("training_arguments",)


def _usable(draft: Draft, *names: str) -> bool:
    return not any(
        draft.findings.is_bad(section, name)
        for section in ("training_arguments", "parameters")
        for name in names
    )


def _best_model(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    get = spec.training_arguments.get
    if not _usable(draft, "eval_strategy", "save_strategy", "eval_steps", "save_steps"):
        return
    if get("load_best_model_at_end"):
        evaluate, save = spec.setting({}, "eval_strategy"), spec.setting({}, "save_strategy")
        if save not in ("best", evaluate):
            name = "save_strategy" if "save_strategy" in spec.training_arguments else ""
            name = name or ("eval_strategy" if "eval_strategy" in spec.training_arguments else "")
            findings.fault(
                _path(draft, name or "load_best_model_at_end"),
                "load_best_model_at_end needs eval_strategy and save_strategy to be the same",
                got=f"eval_strategy {evaluate}, save_strategy {save}",
                mend="write eval_strategy: epoch and save_strategy: epoch",
            )
        elif evaluate == save == "steps":
            _save_steps(draft)
    named = get("metric_for_best_model")
    differs = isinstance(named, str) and canonical_metric(named) != spec.metric.name
    if differs and not findings.is_bad("metric"):
        findings.fault(
            ("training_arguments", "metric_for_best_model"),
            f"the best checkpoint is the one with the best {spec.metric.name}",
            mend="remove it, or name the same metric in both places",
        )
    greater = get("greater_is_better")
    if isinstance(greater, bool) and greater != (spec.metric.goal == "maximize"):
        findings.fault(
            ("training_arguments", "greater_is_better"),
            f"metric.goal says {spec.metric.goal}",
            mend="remove it",
        )


def _save_steps(draft: Draft) -> None:
    """The Trainer's rule: saving steps are a multiple of evaluation steps."""
    setting = draft.spec.setting
    every = setting({}, "eval_steps") or setting({}, "logging_steps")
    save = setting({}, "save_steps")
    if "save_steps" not in draft.spec.training_arguments or not is_number(save):
        return
    mixed = (every < 1) != (save < 1)
    ratio = save / every
    if mixed or abs(ratio - round(ratio)) > 1e-6:
        draft.findings.fault(
            ("training_arguments", "save_steps"),
            "load_best_model_at_end needs save_steps to be a multiple of eval_steps",
            got=f"save_steps {save:g}, eval_steps {every:g}",
            mend="remove save_steps: every boundary is saved",
        )


def _eval_steps(draft: Draft) -> None:
    given = draft.spec.training_arguments
    unused = "eval_steps" in given and draft.spec.setting({}, "eval_strategy") != "steps"
    if unused and _usable(draft, "eval_strategy", "eval_steps"):
        draft.findings.note("eval_steps is not used: eval_strategy is not steps")


def _precision(draft: Draft) -> None:
    for a, b in (("fp16", "bf16"), ("fp16_full_eval", "bf16_full_eval")):
        given = draft.spec.training_arguments
        if given.get(a) is True and given.get(b) is True:
            draft.findings.fault(
                ("training_arguments", b), f"{a} and {b} exclude each other", mend=f"keep {b} alone"
            )


def _loader(draft: Draft) -> None:
    given = draft.spec.training_arguments
    workers = draft.most("dataloader_num_workers")
    for name in ("dataloader_prefetch_factor", "dataloader_persistent_workers"):
        if given.get(name) and workers == 0:
            draft.findings.fault(
                ("training_arguments", name),
                "needs dataloader_num_workers above 0",
                mend="write dataloader_num_workers: 2, or remove it",
            )


def _batch(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    names = (*draft.space, *spec.training_arguments)
    if "effective_batch_size" not in names or not _usable(draft, "effective_batch_size"):
        return
    if "gradient_accumulation_steps" in names:
        findings.fault(
            _path(draft, "gradient_accumulation_steps"),
            "follows from effective_batch_size, which is given too",
            got="",
            mend="remove one of the two",
            at_key=True,
        )
    constant = spec.training_arguments.get("effective_batch_size")
    workers = spec.resources.workers
    if "effective_batch_size" not in draft.space and constant is not None and constant % workers:
        findings.fault(
            ("training_arguments", "effective_batch_size"),
            f"must be a multiple of the {workers} workers",
            mend=f"write {max(1, round(constant / workers)) * workers}",
        )


def _sharding(draft: Draft) -> None:
    spec, findings = draft.spec, draft.findings
    given = spec.training_arguments
    if not given.get("fsdp") or not _usable(draft, "fsdp", "fsdp_config"):
        return
    if spec.resources.workers == 1 and not findings.is_bad("resources"):
        findings.fault(
            ("training_arguments", "fsdp"),
            "shares a model among the workers of a trial, and there is one",
            mend="write resources: {workers: 2}, or remove it",
        )
    config = given.get("fsdp_config")
    config = config if isinstance(config, dict) else {}
    kind = config.get("state_dict_type", config.get("fsdp_state_dict_type", _WHOLE))
    if str(kind).upper() != _WHOLE:
        findings.fault(
            ("training_arguments", "fsdp_config"),
            f"state_dict_type must be {_WHOLE}: checkpoints hold whole models, so that any worker"
            " and from_pretrained can go on from them",
            got=shown(kind),
            mend="remove state_dict_type",
        )


def _listed(draft: Draft, name: str) -> Iterator[tuple[KeyPath, Any]]:
    """Yield every value that a setting names, with its place."""
    domain: Domain | None = draft.space.get(name)
    if domain is None:
        if name in draft.spec.training_arguments and _usable(draft, name):
            yield ("training_arguments", name), draft.spec.training_arguments[name]
    elif isinstance(domain, Choice):
        for i, value in enumerate(domain.values):
            yield ("parameters", name, "values", i), value
    elif isinstance(domain, Constant):
        yield ("parameters", name, "value"), domain.value
    elif (ends := numbers(domain)) is not None:
        yield ("parameters", name, "min"), ends[0]
        yield ("parameters", name, "max"), ends[1]


def _warmup(draft: Draft) -> None:
    """Below 1 warmup_steps is a fraction of the training, from 1 on a number of steps."""
    findings = draft.findings
    values = [(path, v) for path, v in _listed(draft, "warmup_steps") if is_number(v)]
    domain = draft.space.get("warmup_steps")
    is_real = isinstance(domain, Uniform | LogUniform)
    if is_real and len(values) == 2 and values[0][1] < 1 < values[1][1]:
        findings.fault(
            ("parameters", "warmup_steps"),
            "below 1 it is a fraction of the training, from 1 on a number of steps; "
            "a range cannot hold both",
            got=str(domain),
            mend="write {min: 0.0, max: 0.2} for a fraction, or whole numbers for steps",
            at_key=True,
        )
        return
    if draft.spec.method != "pbt" or not _batch_is_searched(draft):
        return
    for path, value in values:
        if value >= 1:
            findings.fault(
                path,
                "a number of steps is another part of the training for each batch size, "
                "which is searched",
                mend="write a fraction of the training, such as 0.1",
            )


def _batch_is_searched(draft: Draft) -> bool:
    return any(name in draft.space.searched for name in _BATCH)


def _schedules(draft: Draft) -> None:
    findings = draft.findings
    for path, value in _listed(draft, "lr_scheduler_type"):
        if value not in METRIC_DRIVEN:
            continue
        if draft.spec.method == "pbt":
            findings.fault(
                path,
                "follows the metric, so after an exploit it has no value at its position; "
                "pbt needs a schedule of the position",
                mend="write linear, cosine or constant_with_warmup",
            )
        elif draft.spec.setting({}, "eval_strategy") == "no" and _usable(draft, "eval_strategy"):
            mend = "write eval_strategy: epoch"
            findings.fault(path, "follows the metric of evaluations, and there are none", mend=mend)


def _steps(draft: Draft) -> None:
    """Under pbt members are compared at boundaries, so a boundary must mean the same for all."""
    spec = draft.spec
    if spec.method != "pbt" or not _usable(draft, "eval_strategy", "eval_steps"):
        return
    every = spec.setting({}, "eval_steps") or spec.setting({}, "logging_steps")
    counted = spec.setting({}, "eval_strategy") == "steps" and is_number(every) and every >= 1
    if counted and _batch_is_searched(draft):
        name = "eval_steps" if "eval_steps" in spec.training_arguments else "eval_strategy"
        draft.findings.fault(
            _path(draft, name),
            "a number of steps means something else for each batch size, which is searched",
            got=f"an evaluation every {shown(every)} steps",
            mend="write eval_strategy: epoch, or eval_steps below 1: a fraction of the training",
        )

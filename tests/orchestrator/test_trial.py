"""A rank: boundaries, interruption without a trace, warm without dirt, failures of one trial."""

from __future__ import annotations

import errno
import inspect
import json
import logging
import math
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import GradientState
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_callback import ProgressCallback

from orchestrator import host_memory, watchdog
from orchestrator.checkpoints import checkpoint_path, remove, verify
from orchestrator.errors import TrialError
from orchestrator.resuming import boundary_step
from orchestrator.segment import BoundaryReport
from orchestrator.trial_failures import trial_error
from tests.orchestrator.bench import bench, timeless
from tests.orchestrator.tiny_task import TinyTask, accuracy, tiny_sweep

QUARTERS = {"eval_strategy": "steps", "eval_steps": 0.25}


# Boundaries -------------------------------------------------------------------------------


def test_boundaries_stand_at_the_ceiling_of_their_share_of_the_steps(tmp_path: Path) -> None:
    with bench(tiny_sweep(**QUARTERS), tmp_path) as work:
        reports = work.train(work.segment())
    assert [r.boundary for r in reports] == [1, 2, 3, 4]
    assert [r.step for r in reports] == [math.ceil(k * 10 / 4) for k in (1, 2, 3, 4)]
    assert [r.epoch for r in reports] == [0.6, 1.0, 1.6, 2.0]
    assert [r.last for r in reports] == [False, False, False, True]
    assert all(r.seconds > 0 for r in reports)


def test_a_step_of_a_boundary_is_a_whole_number_however_it_divides() -> None:
    assert [boundary_step(k, 3, 10) for k in range(4)] == [0, 4, 7, 10]
    assert [boundary_step(k, 3, 1) for k in range(4)] == [0, 1, 1, 1]


def test_reports_hold_what_was_evaluated_and_no_timings(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        report = work.train(work.segment(), until=1)[0]
    assert set(report.metrics) == {"eval_loss", "eval_accuracy"}
    assert report.value == report.metrics["eval_accuracy"]


def test_is_best_is_strictly_better_in_the_direction_of_the_goal(tmp_path: Path) -> None:
    values = iter([0.5, 0.7, 0.7, 0.6])

    def scripted(prediction: Any) -> dict[str, float]:
        return {"accuracy": next(values)}

    with bench(tiny_sweep(**QUARTERS), tmp_path, metrics=scripted) as work:
        assert [r.is_best for r in work.train(work.segment())] == [True, True, False, False]
    values = iter([0.5, 0.7, 0.4, 0.4])
    spec = tiny_sweep(**QUARTERS, metric={"name": "accuracy", "goal": "minimize"})
    with bench(spec, tmp_path, metrics=scripted) as work:
        assert [r.is_best for r in work.train(work.segment())] == [True, False, True, False]


def test_more_boundaries_than_steps_are_all_reported_also_after_an_interruption(
    tmp_path: Path,
) -> None:
    spec = tiny_sweep(num_train_epochs=1, per_device_train_batch_size=20)
    with bench(spec, tmp_path) as work:
        whole = work.segment(boundaries=5)
        reports = work.train(whole)
        assert [r.step for r in reports] == [1, 1, 2, 2, 2]
        for at in (1, 2, 3, 4):
            rest = work.segment(boundaries=5, number=at, start=whole, at=at)
            assert timeless(work.train(rest)) == timeless(reports[at:])


def test_every_pass_and_every_evaluated_batch_is_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(watchdog, "progress", lambda: seen.append(1))
    spec = tiny_sweep(gradient_accumulation_steps=2, per_device_eval_batch_size=4)
    with bench(spec, tmp_path) as work:
        work.rank.begin(work.segment())
        work.rank.advance()
    assert len(seen) == 5 + 5  # in an epoch 5 batches of 8, and 5 of 4 to evaluate


def test_a_schedule_that_follows_the_metric_is_stepped_at_each_boundary(tmp_path: Path) -> None:
    spec = tiny_sweep(
        **QUARTERS,
        load_best_model_at_end=True,
        lr_scheduler_type="reduce_lr_on_plateau",
        lr_scheduler_kwargs={"mode": "max", "patience": 0, "factor": 0.1},
        logging_steps=1,
    )

    def constant(prediction: Any) -> dict[str, float]:
        return {"accuracy": 0.5}

    with bench(spec, tmp_path, metrics=constant) as work:
        whole = work.segment()
        work.train(whole)
        rates = [x["learning_rate"] for x in work.training_lines(whole)]
        assert rates == pytest.approx([1e-3] * 5 + [1e-4] * 3 + [1e-5] * 2)
        rest = work.segment(number=1, start=whole, at=2)
        work.train(rest)
        assert [x["learning_rate"] for x in work.training_lines(rest)] == rates[5:]


# History ----------------------------------------------------------------------------------


def test_every_log_line_stands_in_the_history_with_its_progress_and_is_handed_on(
    tmp_path: Path,
) -> None:
    with bench(tiny_sweep(logging_steps=3), tmp_path) as work:
        segment = work.segment()
        work.train(segment)
        history = tmp_path / "trials" / "0000" / "history.jsonl"
        lines = [json.loads(line) for line in history.read_text().splitlines()]
        assert lines == work.lines
    training = [x for x in lines if "loss" in x]
    # Every third step, and every boundary.
    assert [x["step"] for x in training] == [3, 5, 6, 9, 10]
    assert [x["progress"] for x in training] == [(s - 1) / 10 for s in (3, 5, 6, 9, 10)]
    assert [x["boundary"] for x in training] == [0, 0, 1, 1, 1]
    for line in training:
        assert line["learning_rate"] == pytest.approx(1e-3 * (1 - line["progress"]), rel=1e-9)
        assert line.keys() >= {"epoch", "grad_norm", "trial", "segment"}
    evaluations = [x for x in lines if "eval_loss" in x]
    assert [(x["step"], x["progress"]) for x in evaluations] == [(5, 0.5), (10, 1.0)]


@pytest.mark.parametrize("logging", [{"logging_strategy": "no"}, {"logging_strategy": "epoch"}])
def test_every_boundary_logs_whatever_the_logging_strategy(
    tmp_path: Path, logging: dict[str, str]
) -> None:
    with bench(tiny_sweep(**QUARTERS, **logging), tmp_path) as work:
        segment = work.segment()
        work.train(segment)
        assert [x["step"] for x in work.training_lines(segment)] == [3, 5, 8, 10]


def test_output_and_log_records_go_to_the_trials_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def noisy(prediction: Any) -> dict[str, float]:
        print("printed by a metric")
        print("to stderr", file=sys.stderr)
        logging.getLogger("somebody").warning("logged")
        logging.getLogger("transformers.trainer").warning("by transformers")
        return accuracy(prediction)

    with bench(tiny_sweep(), tmp_path, metrics=noisy) as work:
        work.rank.begin(work.segment())
        work.rank.advance()
        print("printed by the main thread")
        work.rank.stop()
        text = work.log()
    for words in ("printed by a metric", "to stderr", "logged", "by transformers"):
        assert words in text
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("printed by the main thread\n", "")


# Interruption -----------------------------------------------------------------------------

RUNS: dict[str, dict[str, Any]] = {
    "epochs": {"num_train_epochs": 3},
    "mid-epoch": QUARTERS,
    "accumulation": {**QUARTERS, "gradient_accumulation_steps": 2},
    "sampler that draws": {**QUARTERS, "train_sampling_strategy": "group_by_length"},
    "own generator for the data": {
        **QUARTERS,
        "accelerator_config": {"use_seedable_sampler": False},
    },
    "sgd": {**QUARTERS, "optim": "sgd", "optim_args": "momentum=0.9"},
    "bfloat16": {**QUARTERS, "bf16": True},
    "a process that loads data": {"dataloader_num_workers": 1},
}


@pytest.mark.parametrize("name", RUNS)
def test_a_trial_interrupted_at_any_boundary_goes_on_as_if_it_had_not_been(
    tmp_path: Path, name: str
) -> None:
    """Bit-equal metrics and log lines, dropout on, in a rank that trained something else since."""
    with bench(tiny_sweep(**RUNS[name], logging_steps=1), tmp_path) as work:
        whole = work.segment()
        reports = work.train(whole)
        lines = [_numbers(x) for x in work.training_lines(whole)]
    with bench(tiny_sweep(**RUNS[name], logging_steps=1), tmp_path) as work:
        for at in range(1, whole.boundaries):
            work.train(work.segment({"learning_rate": 0.1}, trial="other", number=at), until=1)
            _disturb()
            rest = work.segment(number=at, start=whole, at=at)
            assert timeless(work.train(rest)) == timeless(reports[at:])
            rest_lines = [_numbers(x) for x in work.training_lines(rest)]
            assert rest_lines == lines[-len(rest_lines) :]


def test_a_trial_interrupted_twice_in_one_epoch_goes_on_as_if_it_had_not_been(
    tmp_path: Path,
) -> None:
    spec = tiny_sweep(
        eval_strategy="steps", eval_steps=0.1, train_sampling_strategy="group_by_length"
    )
    with bench(spec, tmp_path) as work:
        whole = work.segment()
        reports = work.train(whole)
        # 5 is an epoch's end: from there a new order is drawn, which 7 and 8 must keep.
        one = work.segment(number=1, start=whole, at=5)
        work.train(one, until=7)
        two = work.segment(number=2, start=one, at=7)
        work.train(two, until=8)
        three = work.segment(number=3, start=two, at=8)
        assert timeless(work.train(three)) == timeless(reports[8:])


def test_what_the_rest_of_the_process_draws_while_training_stands_leaves_no_trace(
    tmp_path: Path,
) -> None:
    with bench(tiny_sweep(**QUARTERS), tmp_path) as work:
        undisturbed = work.train(work.segment())
        disturbed = []
        for report in work.stands(work.segment(number=1)):
            disturbed.append(report)
            _disturb()
        work.rank.stop()
    assert timeless(disturbed) == timeless(undisturbed)


def test_a_snapshot_does_not_change_while_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_memory, "SMALL_BYTES", 1)  # this model's tensors are all small
    with bench(tiny_sweep(**QUARTERS), tmp_path) as work:
        work.rank.begin(work.segment())
        work.rank.advance()
        snapshot = work.rank.snapshot()
        before = {name: tensor.clone() for name, tensor in snapshot.weights.items()}
        moments = [s["exp_avg"].clone() for s in snapshot.optimizer["state"].values()]
        for _ in range(3):
            work.rank.advance()
            other = work.rank.snapshot()
        work.rank.stop()
    assert any(not torch.equal(before[name], t) for name, t in other.weights.items())
    assert all(torch.equal(before[name], t) for name, t in snapshot.weights.items())
    for moment, state in zip(moments, snapshot.optimizer["state"].values(), strict=True):
        assert torch.equal(moment, state["exp_avg"])
    assert snapshot.size_bytes >= 3 * sum(t.nbytes for t in before.values()) * 0.9


def test_a_checkpoint_is_a_folder_that_from_pretrained_loads(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        segment = work.segment()
        work.train(segment, until=1)
        folder = work.folder(segment, 1)
    verify(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert isinstance(model, BertForSequenceClassification)
    assert model.config.problem_type == "single_label_classification"
    state = json.loads((folder / "state.json").read_text())
    assert state["boundary"] == 1
    assert state["progress"] == 0.5
    assert (state["step"], state["max_steps"]) == (5, 10)
    assert not (folder / "training_args.bin").exists()


@pytest.mark.parametrize(
    ("metric", "arguments", "boundary"),
    [
        ({"name": "loss", "goal": "maximize"}, {"learning_rate": 0.05}, 1),  # falls from there on
        ({"name": "loss", "goal": "minimize"}, {"learning_rate": 0.05}, 4),
        ({"name": "constant", "goal": "maximize"}, {}, 1),
    ],
    ids=["early", "late", "tied"],
)
def test_the_best_checkpoint_loads_and_evaluates_to_its_metric(
    tmp_path: Path, metric: dict[str, Any], arguments: dict[str, Any], boundary: int
) -> None:
    def metrics(prediction: Any) -> dict[str, float]:
        return {**accuracy(prediction), "constant": 0.5}

    spec = tiny_sweep(metric=metric, **QUARTERS, **arguments)
    with bench(spec, tmp_path, metrics=metrics) as work:
        reports = work.train(work.segment())
    best = [r for r in reports if r.is_best][-1]
    assert best.boundary == boundary
    task = TinyTask(spec.task, metrics=metrics)
    again = Trainer(
        model=BertForSequenceClassification.from_pretrained(
            tmp_path / checkpoint_path("0000", 0, best.boundary)
        ),
        args=TrainingArguments(str(tmp_path / "again"), report_to="none", use_cpu=True),
        eval_dataset=task.eval_dataset,
        data_collator=task.collator,
        compute_metrics=task.compute_metrics,
    ).evaluate()
    for name, value in best.metrics.items():
        assert again[name] == pytest.approx(value, abs=1e-6)


def test_a_checkpoint_may_be_deleted_as_soon_as_a_segment_stands_before_its_first_step(
    tmp_path: Path,
) -> None:
    with bench(tiny_sweep(**QUARTERS), tmp_path) as work:
        whole = work.segment()
        reports = work.train(whole)
        rest = work.segment(number=1, start=whole, at=1)
        work.rank.begin(rest)
        remove(work.folder(whole, 1))
        assert timeless([work.rank.advance()]) == timeless(reports[1:2])


def test_a_trial_trains_what_the_plain_trainer_does(tmp_path: Path) -> None:
    """The same metrics and log lines, bit by bit, as `Trainer` with its own evaluation.

    One that takes the mean over accumulated passes, not their sum.
    """
    spec = tiny_sweep(num_train_epochs=3, logging_steps=1, gradient_accumulation_steps=2)
    with bench(spec, tmp_path) as work:
        segment = work.segment()
        reports = work.train(segment)
        lines = work.training_lines(segment)
    task = TinyTask(spec.task)
    arguments = TrainingArguments(
        str(tmp_path / "plain"), **{**spec.training_for({}), "save_strategy": "no"}
    )
    plain = Trainer(
        model=task.build_model(spec.seed),
        args=arguments,
        train_dataset=task.train_dataset,
        eval_dataset=task.eval_dataset,
        data_collator=task.collator,
        compute_metrics=task.compute_metrics,
    )
    plain.remove_callback(ProgressCallback)
    plain.model_accepts_loss_kwargs = False
    plain.train()
    evaluated = [x for x in plain.state.log_history if "eval_loss" in x]
    assert [r.metrics for r in reports] == [
        {k: x[k] for k in reports[0].metrics} for x in evaluated
    ]
    trained = [x for x in plain.state.log_history if "loss" in x]
    assert [{k: line[k] for k in trained[0]} for line in lines] == trained


# Warm -------------------------------------------------------------------------------------

BEFORE: dict[str, dict[str, Any]] = {
    "the same": {},
    "noise in the embeddings": {"neftune_noise_alpha": 5.0},
    "mixed precision": {"bf16": True},
    "activation checkpointing": {"activation_checkpointing": True},
    "another dropout": {"task.model_config.hidden_dropout_prob": 0.5},
    "another seed": {"seed": 7},
    "another optimizer": {"optim": "sgd"},
    "label smoothing and accumulation": {
        "label_smoothing_factor": 0.3,
        "gradient_accumulation_steps": 3,
    },
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> list[BoundaryReport]:
    """What a trial reports in a rank that trained nothing before."""
    _disturb()
    with bench(tiny_sweep(**QUARTERS), tmp_path_factory.mktemp("fresh")) as work:
        return timeless(work.train(work.segment()))


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("until", [1, 4])
def test_a_trial_gives_the_same_metrics_in_a_fresh_and_in_a_used_rank(
    tmp_path: Path, fresh: list[BoundaryReport], before: str, until: int
) -> None:
    with bench(tiny_sweep(**QUARTERS), tmp_path) as work:
        work.train(work.segment(BEFORE[before], trial="before"), until=until)
        assert timeless(work.train(work.segment())) == fresh


def test_a_trial_gives_the_same_metrics_after_one_that_failed(
    tmp_path: Path, fresh: list[BoundaryReport]
) -> None:
    fails = [True]

    def model(config: BertConfig) -> torch.nn.Module:
        made = BertForSequenceClassification(config)

        def fail(*args: Any) -> None:
            if fails and made.training:
                fails.pop()
                raise RuntimeError("in the middle of a step")

        made.classifier.register_forward_hook(fail)
        return made

    with bench(tiny_sweep(**QUARTERS), tmp_path, model=model) as work:
        with pytest.raises(TrialError, match="in the middle of a step"):
            work.train(work.segment(trial="fails"))
        assert timeless(work.train(work.segment())) == fresh


FRESH = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from tests.orchestrator.bench import bench
from tests.orchestrator.tiny_task import tiny_sweep
with bench(tiny_sweep(eval_strategy="steps", eval_steps=0.25), Path(sys.argv[1])) as work:
    print(json.dumps([r.metrics for r in work.train(work.segment())]))
"""


@pytest.mark.slow
def test_a_trial_gives_the_same_metrics_in_a_process_of_its_own(
    tmp_path: Path, fresh: list[BoundaryReport]
) -> None:
    run = [sys.executable, "-c", FRESH, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=True)
    lines = done.stdout.splitlines()  # W&B's integration prints when it is imported
    assert json.loads(lines[-1]) == [report.metrics for report in fresh]


def test_processes_that_load_data_end_with_their_trial_and_at_once(tmp_path: Path) -> None:
    spec = tiny_sweep(dataloader_num_workers=1, dataloader_persistent_workers=True)
    with bench(spec, tmp_path) as work:
        for _ in work.stands(work.segment(), until=1):
            assert multiprocessing.active_children()
        started = time.monotonic()
        work.rank.stop()
        assert multiprocessing.active_children() == []
        assert time.monotonic() - started < 4.0  # torch waits 5 s for one that cannot hear it


def test_one_model_serves_trials_with_equal_keys_and_another_is_built_for_another_key(
    tmp_path: Path,
) -> None:
    built: list[BertConfig] = []

    def model(config: BertConfig) -> torch.nn.Module:
        built.append(config)
        return BertForSequenceClassification(config)

    with bench(tiny_sweep(), tmp_path, model=model) as work:
        for number, rate in enumerate([1e-3, 1e-4, 1e-5]):
            work.train(work.segment({"learning_rate": rate}, number=number), until=1)
        assert len(built) == 1
        dropout = {"task.model_config.hidden_dropout_prob": 0.3}
        work.train(work.segment(dropout, number=3), until=1)
        assert [c.hidden_dropout_prob for c in built] == [0.1, 0.3]


def test_a_trials_memory_is_free_before_the_next_one_begins(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        for ending in (1, 2):
            segment = work.segment(number=ending)
            for _ in work.stands(segment, until=ending):
                running = work.rank._training.running
            assert running is not None
            trainer = weakref.ref(running.trainer)
            moments = [weakref.ref(s["exp_avg"]) for s in running.trainer.optimizer.state.values()]
            del running
            work.rank.stop()
            assert trainer() is None
            assert [m for m in moments if m() is not None] == []
            assert [d for d in GradientState().dataloader_references if d is not None] == []


def test_one_training_thread_serves_all_trials(tmp_path: Path) -> None:
    threads: set[int] = set()

    def seen(prediction: Any) -> dict[str, float]:
        threads.add(threading.get_ident())
        return accuracy(prediction)

    with bench(tiny_sweep(), tmp_path, metrics=seen) as work:
        for number in range(3):
            work.train(work.segment(number=number), until=1)
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


# Failures ---------------------------------------------------------------------------------


def test_a_diverged_trial_reports_no_value_and_is_never_best(tmp_path: Path) -> None:
    with bench(tiny_sweep(**QUARTERS, lr_scheduler_type="constant"), tmp_path) as work:
        reports = work.train(work.segment({"learning_rate": 1e30}))
    assert [r.value for r in reports] == [None] * 4
    assert not any(r.is_best for r in reports)
    assert reports[-1].metrics["eval_loss"] is None
    assert reports[-1].metrics["eval_accuracy"] is not None  # half of it is right by chance
    history = tmp_path / "trials" / "0000" / "history.jsonl"
    assert "NaN" not in history.read_text()


class Poisoned(BertForSequenceClassification):
    """Trains well but for its fourth pass, or evaluates to NaN."""

    how = ""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.passes = 0

    def forward(self, input_ids: Any = None, labels: Any = None) -> Any:
        outputs = super().forward(input_ids=input_ids, labels=labels)
        self.passes += self.training
        if self.training and self.passes == 4 and self.how in ("nan", "inf"):
            outputs.loss = outputs.loss * float(self.how)
        if not self.training and self.passes > 3 and self.how == "evaluation":
            outputs.loss = outputs.loss * float("nan")
        return outputs


@pytest.mark.parametrize("logging", [{"logging_steps": 1}, {"logging_nan_inf_filter": False}])
@pytest.mark.parametrize("how", ["nan", "inf", "evaluation"])
def test_what_is_not_finite_shows_at_the_next_boundary_wherever_the_log_hides_it(
    tmp_path: Path, how: str, logging: dict[str, Any]
) -> None:
    def model(config: BertConfig) -> Poisoned:
        made = Poisoned(config)
        made.how = how
        return made

    with bench(tiny_sweep(**QUARTERS, **logging), tmp_path, model=model) as work:
        reports = work.train(work.segment())
    assert [r.step for r in reports] == [3, 5, 8, 10]
    assert [r.value is None for r in reports] == [False, True, True, True]
    assert [r.is_best for r in reports] == [True, False, False, False]


def test_a_metric_that_is_not_finite_is_none_and_the_others_stay(tmp_path: Path) -> None:
    def metrics(prediction: Any) -> dict[str, float]:
        return {"accuracy": 0.5, "pearson": float("nan")}

    with bench(tiny_sweep(), tmp_path, metrics=metrics) as work:
        report = work.train(work.segment(), until=1)[0]
    assert report.value == 0.5
    assert report.metrics["eval_pearson"] is None


def test_a_metric_that_does_not_exist_is_told_at_the_first_boundary_with_those_that_do(
    tmp_path: Path,
) -> None:
    with bench(tiny_sweep(metric={"name": "acuracy"}), tmp_path) as work:
        work.rank.begin(work.segment())
        with pytest.raises(TrialError, match=r"eval_acuracy.*eval_accuracy, eval_loss") as raised:
            work.rank.advance()
        assert raised.value.kind == "no_metric"


def test_a_trial_that_raises_leaves_its_log_and_the_rank_trains_on(tmp_path: Path) -> None:
    fails = [True]

    def metrics(prediction: Any) -> dict[str, float]:
        if fails:
            fails.pop()
            raise ZeroDivisionError("no rows")
        return accuracy(prediction)

    with bench(tiny_sweep(), tmp_path, metrics=metrics) as work:
        work.rank.begin(work.segment(trial="bad"))
        with pytest.raises(TrialError) as raised:
            work.rank.advance()
        assert (raised.value.kind, raised.value.message) == ("code", "ZeroDivisionError: no rows")
        assert "raise ZeroDivisionError" in raised.value.log
        assert "Traceback" in work.log("bad")
        assert work.rank.usable
        assert len(work.train(work.segment(trial="good"))) == 2


def test_arguments_that_do_not_go_together_fail_the_trial_at_its_begin(tmp_path: Path) -> None:
    with bench(tiny_sweep(optim="no_such_optimizer"), tmp_path) as work:
        with pytest.raises(TrialError, match="no_such_optimizer"):
            work.rank.begin(work.segment())
        work.rank.stop()


def test_a_missing_checkpoint_fails_the_trial_at_its_begin(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        missing = work.segment(start=work.segment(), at=1)
        with pytest.raises(TrialError, match="no checkpoint was committed here") as raised:
            work.rank.begin(missing)
        assert raised.value.kind == "damaged"


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "trainer_state.json"])
def test_a_damaged_checkpoint_is_told_with_its_bad_file_and_is_not_the_trials_fault(
    tmp_path: Path, name: str
) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        whole = work.segment()
        work.train(whole, until=1)
        file = work.folder(whole, 1) / name
        file.write_bytes(file.read_bytes()[:100])
        with pytest.raises(TrialError, match=name) as raised:
            work.rank.begin(work.segment(number=1, start=whole, at=1))
        assert raised.value.kind == "damaged"
        assert len(work.train(work.segment(number=2))) == 2


def test_an_error_after_the_last_report_is_only_logged(tmp_path: Path) -> None:
    def lost(best: Any) -> Path:
        raise FileNotFoundError("the best is gone")

    with bench(tiny_sweep(load_best_model_at_end=True), tmp_path) as work:
        work.rank.best_checkpoint = lost
        assert len(work.train(work.segment())) == 2
        assert "the best is gone" in work.log()
        assert len(work.train(work.segment(number=1))) == 2


def test_a_trial_with_a_smaller_batch_makes_the_same_steps_on_the_same_rows(
    tmp_path: Path,
) -> None:
    spec = tiny_sweep(**QUARTERS, model_config={"hidden_dropout_prob": 0.0,
                      "attention_probs_dropout_prob": 0.0})  # fmt: skip
    with bench(spec, tmp_path) as work:
        whole = work.train(work.segment(trial="whole"))
        first = work.segment(trial="halved")
        work.train(first, until=1)
        rest = work.segment(trial="halved", number=1, start=first, at=1)
        halved = work.train(replace(rest, batch_at_most=2))
        lines = [work.training_lines(s) for s in (work.segment(trial="whole"), rest)]
    assert [r.step for r in halved] == [r.step for r in whole[1:]]
    losses = [[r.metrics["eval_loss"] for r in reports] for reports in (halved, whole[1:])]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name in ("loss", "grad_norm", "learning_rate"):  # the newest lines are of the same steps
        assert lines[1][-1][name] == pytest.approx(lines[0][-1][name], rel=1e-4)


def test_no_two_processes_share_a_start_folder_and_old_ones_go(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        first = work.segment()
        work.train(first, until=1)
        trial = tmp_path / "trials" / first.trial
        for name in ("start-0000-0-1", "start-0001-0-1"):  # of a dead worker, and of a dying one
            (trial / name).mkdir()
        rest = work.segment(number=1, start=first, at=1)
        for _ in work.stands(rest):
            mine = f"start-0001-0-{os.getpid()}"
            assert sorted(f.name for f in trial.glob("start-*")) == sorted(["start-0001-0-1", mine])
        work.rank.stop()
        assert [f.name for f in trial.glob("start-*")] == ["start-0001-0-1"]


CUDA = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call.\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "out_of_memory"),
        (OSError(12, "Cannot allocate memory"), "out_of_memory"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "out_of_memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "out_of_memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out_of_memory"),
        (
            RuntimeError("CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
            "out_of_memory",
        ),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Aborted. "), "code"),
        (RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"), "code"),
        (torch.AcceleratorError(f"CUDA error: device-side assert triggered{CUDA}"), "code"),
        (torch.AcceleratorError(f"CUDA error: uncorrectable ECC error{CUDA}"), "infrastructure"),
        (torch.AcceleratorError("CUDA error: unspecified launch failure"), "infrastructure"),
        (torch.AcceleratorError("CUDA error: out of memory"), "out_of_memory"),
        (RuntimeError("shapes"), "code"),
        (
            RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Read error"),
            "infrastructure",
        ),
        (torch.distributed.DistBackendError("NCCL error in: a rank is gone"), "infrastructure"),
        (OSError(28, "No space left on device"), "disk_full"),
        (FileNotFoundError(2, "No such file"), "code"),
        (TrialError("hung", "late"), "hung"),
    ],
)
def test_failures_are_classed(error: Exception, kind: str) -> None:
    failure = trial_error(error, "the log")
    assert (failure.kind, failure.log) == (kind, "the log")
    assert failure.message


class _Rows(torch.utils.data.Dataset[int]):
    """Rows whose loading ends the process that loads them."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        os.kill(os.getpid(), self.number)
        return index


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGKILL, "out_of_memory"), (signal.SIGTERM, "code")]
)
def test_what_loads_data_is_killed_for_memory_only(number: int, kind: str) -> None:
    """In a thread, as training is: there PyTorch does not say how it ended."""
    failures: list[TrialError] = []

    def load() -> None:
        try:
            list(torch.utils.data.DataLoader(_Rows(number), num_workers=1))
        except RuntimeError as error:
            failures.append(trial_error(error, ""))

    thread = threading.Thread(target=load)
    thread.start()
    thread.join(60)
    (failure,) = failures
    assert failure.kind == kind
    assert "exited unexpectedly" in failure.message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_another_disk_that_is_full_is_named_and_does_not_end_the_study(
    tmp_path: Path, number: int
) -> None:
    def failure(*place: str) -> TrialError:
        return trial_error(OSError(number, "no room", *place), "", tmp_path)

    elsewhere = failure("/proc/cache/rows.arrow")  # never on the disk of a study
    assert elsewhere.kind == "code"
    assert "that of /proc/cache/rows.arrow (0.0 MiB free)" in elsewhere.message
    assert failure(str(tmp_path / "trials" / "a" / "rows")).kind == "disk_full"
    assert failure().kind == "disk_full"


def test_what_is_out_of_order_is_told(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        with pytest.raises(RuntimeError, match="begin a segment first"):
            work.rank.advance()
        with pytest.raises(RuntimeError, match="begin a segment first"):
            work.rank.snapshot()
        work.rank.stop()
        for _ in work.stands(work.segment()):
            pass
        with pytest.raises(RuntimeError, match="no boundary ahead"):
            work.rank.advance()


def test_beginning_leaves_what_trained_before(tmp_path: Path) -> None:
    with bench(tiny_sweep(), tmp_path) as work:
        work.rank.begin(work.segment(trial="left"))
        work.rank.advance()
        assert len(work.train(work.segment(trial="next"))) == 2
    assert "train_loss" not in (tmp_path / "trials/left/history.jsonl").read_text()
    assert "train_loss" in (tmp_path / "trials/next/history.jsonl").read_text()


# What we lean on --------------------------------------------------------------------------


def test_the_trainer_still_has_what_we_lean_on() -> None:
    """Not part of its documentation: read these places again when this fails."""
    logs = inspect.getsource(Trainer._maybe_log_save_evaluate)
    reset, log = logs.index("tr_loss -= tr_loss"), logs.index("self.log(logs")
    assert reset < log, "a boundary in on_log must find the running loss reset"
    training = inspect.getsource(Trainer._prepare_for_training)
    made, loaded = (
        training.index("self.create_scheduler"),
        training.index("self._load_optimizer_and_scheduler"),
    )
    assert made < loaded, "what the arguments made must be seen before the saved is loaded"
    loop = inspect.getsource(Trainer._inner_training_loop)
    assert loop.index("on_train_begin") < loop.index("on_epoch_begin") < loop.index("_run_epoch")
    assert "except" not in inspect.getsource(Trainer._run_epoch), "leaving must not be swallowed"
    values = inspect.getsource(Trainer.set_initial_training_values)
    order = ["num_train_epochs", "num_update_steps_per_epoch", "num_examples"]
    order += ["num_train_samples", "total_train_batch_size", "steps_in_epoch", "max_steps"]
    returned = values[values.rindex("return (") :]
    assert [w.strip(" ,\n") for w in returned.split("\n")[1:8]] == order


def _numbers(line: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in line.items() if k not in ("segment", "boundary")}


def _disturb() -> None:
    """Move every generator of the process."""
    random.seed()
    np.random.seed(random.randrange(2**32))
    torch.manual_seed(random.randrange(2**32))

"""An outbox never blocks, never raises, keeps order and loses nothing while a tracker fails."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.tracking.outbox import Outbox
from orchestrator.tracking.tracker import BestModel, TrackerDied
from tests.orchestrator.tracking.fakes import Bench, FakeTracker, Gate, run, wait_for


class Fault:
    """Raises at one verb for as many times as it is told; -1: always."""

    def __init__(self, verb: str, times: int = -1, error: type[Exception] = OSError) -> None:
        self.verb, self.times, self.error = verb, times, error

    def __call__(self, verb: str) -> None:
        if verb == self.verb and self.times:
            self.times -= 1
            raise self.error("server says no")


def lead_a_trial(bench: Bench, lines: int = 3) -> None:
    bench.outbox.start_run(run("t0", learning_rate=1e-3))
    for step in range(lines):
        bench.outbox.log("t0", {"train/loss": 1.0}, step)
    bench.outbox.finish_run("t0", "finished", {"best/eval_accuracy": 0.9})


def test_calls_arrive_in_order_and_nothing_stays_on_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lead_a_trial(bench)
    bench.pump()
    bench.pump(after_s=3)
    assert bench.tracker.verbs() == ["start_run", "log", "log", "log", "finish_run"]
    assert bench.tracker.steps("t0") == [0, 1, 2]
    assert list(tmp_path.iterdir()) == []
    assert bench.outbox.close(1) == ("closed",)
    assert bench.notices == []


def test_lines_that_come_before_their_run_wait_for_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.outbox.log("t0", {"train/loss": 1.0}, 7)
    assert bench.pump() is None
    assert bench.tracker.calls == []
    bench.outbox.start_run(run("t0"))
    bench.pump()
    assert bench.tracker.verbs() == ["start_run", "log"]


def test_a_line_that_is_still_on_its_way_when_its_trial_ends_gets_into_the_run(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, settle_s=2.0)
    lead_a_trial(bench, lines=1)
    assert bench.pump() == pytest.approx(2.0)
    bench.outbox.log("t0", {"eval/accuracy": 0.9}, 5)
    bench.pump(after_s=2.5)
    assert bench.tracker.verbs() == ["start_run", "log", "log", "finish_run"]
    bench.outbox.log("t0", {"eval/accuracy": 0.9}, 6)
    bench.pump(after_s=5)
    assert bench.tracker.verbs()[-1] == "finish_run"
    assert "1 lines could not be kept or came after" in bench.outbox.close(1)[-1]


def test_a_changed_configuration_goes_to_the_same_run_at_its_place(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.outbox.start_run(run("t0", learning_rate=1.0))
    bench.outbox.log("t0", {"a": 1}, 0)
    bench.pump()
    bench.outbox.start_run(run("t0", learning_rate=2.0))
    bench.outbox.log("t0", {"a": 1}, 1)
    bench.pump()
    assert bench.tracker.verbs() == ["start_run", "log", "start_run", "log"]
    assert bench.tracker.calls[2][1].config == {"learning_rate": 2.0}


def test_a_trial_that_never_began_has_no_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.outbox.finish_run("t0", "failed", {})
    bench.pump(after_s=10)
    assert bench.made == 0
    assert bench.outbox.close(1) == ()


def test_a_refusing_tracker_is_told_of_once_and_everything_is_filled_in_when_it_answers(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, FakeTracker(Fault("start_run", times=3)))
    lead_a_trial(bench)
    waits = [bench.pump()]
    for _ in range(2):
        waits.append(bench.pump(after_s=waits[-1] or 0))
    assert waits == [1.0, 2.0, 4.0], "the pause doubles"
    assert bench.tracker.calls == []
    assert len(bench.notices) == 1
    assert "fake cannot be reached (OSError: server says no)" in bench.notices[0]
    assert str(tmp_path) in bench.notices[0]

    bench.pump(after_s=4)
    bench.pump(after_s=3)
    assert bench.tracker.verbs() == ["start_run", "log", "log", "log", "finish_run"]
    assert "answers again" in bench.notices[1]


def test_while_the_tracker_is_down_one_run_is_tried_at_a_time(tmp_path: Path) -> None:
    attempts: list[str] = []

    def refuse(verb: str) -> None:
        attempts.append(verb)
        raise OSError("down")

    bench = Bench(tmp_path, FakeTracker(refuse))
    for number in range(50):
        bench.outbox.start_run(run(f"t{number}"))
    bench.pump()
    assert attempts == ["start_run"]


@pytest.mark.parametrize("verb", ["log", "finish_run"])
def test_a_call_that_is_refused_again_and_again_is_set_aside_and_the_rest_goes_on(
    tmp_path: Path, verb: str
) -> None:
    bench = Bench(tmp_path, FakeTracker(Fault(verb, times=3, error=ValueError)))
    lead_a_trial(bench)
    for _ in range(6):
        bench.pump(after_s=3)
    logs = [0, 1, 2] if verb == "finish_run" else [1, 2]
    assert bench.tracker.steps("t0") == logs
    assert [path.name for path in tmp_path.iterdir()] == ["t0.refused"]
    assert verb in (tmp_path / "t0.refused").read_text()
    assert len(bench.notices) == 1 and "refused a line of t0" in bench.notices[0]


def test_a_tracker_that_dies_is_made_anew_and_every_run_goes_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeTracker(Fault("log", times=1, error=TrackerDied)))
    for trial in ("t0", "t1"):
        bench.outbox.start_run(run(trial))
        bench.outbox.log(trial, {"a": 1}, 0)
    bench.pump()
    bench.pump(after_s=2)
    assert bench.made == 2
    assert bench.tracker.verbs().count("start_run") == 3, "t0 before and after, t1 after"
    assert bench.tracker.steps("t0") == bench.tracker.steps("t1") == [0]


def test_a_tracker_that_cannot_be_made_is_down(tmp_path: Path) -> None:
    def make() -> FakeTracker:
        raise ImportError("No module named 'wandb'")

    notices: list[str] = []
    outbox = Outbox(make, tmp_path, name="wandb", on_notice=notices.append, threaded=False)
    outbox.start_run(run("t0"))
    outbox.log("t0", {"a": 1}, 0)
    outbox.pump()
    assert "No module named 'wandb'" in notices[0]
    assert "1 lines not sent, kept in" in outbox.close(1)[0]


def test_the_next_process_sends_what_the_last_one_could_not(tmp_path: Path) -> None:
    down = Bench(tmp_path, FakeTracker(Fault("start_run")))
    lead_a_trial(down)
    down.pump()
    assert down.outbox.close(1)[-1].startswith(
        f"fake: 3 lines not sent, kept in {tmp_path / 't0.jsonl'}"
    )

    up = Bench(tmp_path)
    up.pump()
    up.pump(after_s=3)
    assert up.tracker.verbs() == ["start_run", "log", "log", "log", "finish_run"]
    assert up.tracker.calls[0][1] == run("t0", learning_rate=1e-3)
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_a_resumed_driver_takes_up_is_not_ended_by_the_last_one(
    tmp_path: Path,
) -> None:
    down = Bench(tmp_path, FakeTracker(Fault("start_run")))
    down.outbox.start_run(run("t0"))
    down.outbox.log("t0", {"a": 1}, 0)
    down.outbox.finish_run("t0", "interrupted", {})
    down.outbox.close(1)

    up = Bench(tmp_path)
    up.outbox.start_run(run("t0"))
    up.outbox.log("t0", {"a": 1}, 1)
    up.pump(after_s=5)
    assert up.tracker.steps("t0") == [0, 1]
    assert "finish_run" not in up.tracker.verbs()


def test_a_killed_process_neither_repeats_nor_loses_a_line(tmp_path: Path) -> None:
    killed = Bench(tmp_path)
    killed.outbox.start_run(run("t0"))
    killed.outbox.log("t0", {"a": 1}, 0)
    killed.pump()
    killed.outbox.log("t0", {"a": 1}, 1)  # and now it is gone, without a close

    again = Bench(tmp_path)
    again.pump()
    assert again.tracker.verbs() == ["start_run", "log"]
    assert again.tracker.steps("t0") == [1]


def test_a_restarted_process_goes_on_with_a_run_of_which_everything_was_sent(
    tmp_path: Path,
) -> None:
    killed = Bench(tmp_path)
    killed.outbox.start_run(run("t0", learning_rate=1.0))
    killed.pump()

    again = Bench(tmp_path)
    assert again.pump() is None
    assert again.tracker.calls == [], "a run that has nothing to say is not opened"
    again.outbox.log("t0", {"a": 1}, 1)
    again.pump()
    assert again.tracker.calls[0] == ("start_run", run("t0", learning_rate=1.0))
    assert again.tracker.steps("t0") == [1]


def test_the_best_model_is_sent_without_a_run_and_again_after_an_outage(tmp_path: Path) -> None:
    model = BestModel(folder="best", study="toy", trial="t0", metadata={"eval_accuracy": 0.9})
    down = Bench(tmp_path, FakeTracker(Fault("log_best_model", error=TrackerDied)))
    down.outbox.log_best_model(model)
    assert down.pump() == 0.0, "a new process may do at once"
    assert down.pump() == pytest.approx(1.0), "one that dies again waits"
    down.outbox.close(1)
    up = Bench(tmp_path)
    up.pump()
    assert up.tracker.calls == [("log_best_model", model)]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_once_and_never_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.outbox.start_run(run("t0"))

    def full(self: object, call: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestrator.tracking.backlog.Backlog.append", full)
    for step in range(3):
        bench.outbox.log("t0", {"a": 1}, step)
    assert len(bench.notices) == 1 and "No space left" in bench.notices[0]
    bench.pump()
    assert "3 lines could not be kept" in bench.outbox.close(1)[-1]


@pytest.mark.parametrize("verb", ["start_run", "log", "finish_run"])
def test_a_hanging_tracker_delays_nobody_and_closing_is_bounded(tmp_path: Path, verb: str) -> None:
    gate = Gate(verb)
    tracker = FakeTracker(gate)
    outbox = Outbox(
        lambda: tracker, tmp_path, name="fake", on_notice=print, settle_s=0.0, retry_s=(0.01, 0.01)
    )
    outbox.start_run(run("t0"))
    outbox.log("t0", {"a": 1}, -1)
    outbox.finish_run("t0", "finished", {})
    assert gate.entered.wait(5)
    started = time.monotonic()
    outbox.start_run(run("t1"))
    for step in range(100):
        outbox.log("t1", {"a": 1}, step)
    assert time.monotonic() - started < 1.0, "100 lines are 100 appends"

    started = time.monotonic()
    words = outbox.close(0.2)
    assert time.monotonic() - started < 1.0
    assert f"{100 + (verb != 'finish_run')} lines not sent, kept in" in words[-1]
    sent = list(tracker.calls)
    gate.open.set()
    outbox._thread.join(5)
    assert len(tracker.calls) <= len(sent) + 1, "after its close it begins nothing"


def test_a_tracker_that_hangs_is_told_of_as_soon_as_a_line_comes(tmp_path: Path) -> None:
    gate = Gate("start_run")
    bench = Bench(tmp_path, FakeTracker(gate), threaded=True)
    bench.outbox.start_run(run("t0"))
    assert gate.entered.wait(5)
    bench.clock.now += 6
    bench.outbox.log("t0", {"a": 1}, 0)
    assert "does not answer" in bench.notices[0]
    gate.open.set()
    wait_for(lambda: bench.tracker.verbs() == ["start_run", "log"])
    assert "answers again" in bench.notices[1]
    assert bench.outbox.close(5) == ("closed",)


def test_closing_waits_for_what_can_still_be_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, threaded=True)
    for number in range(20):
        bench.outbox.start_run(run(f"t{number}"))
        for step in range(50):
            bench.outbox.log(f"t{number}", {"a": 1}, step)
        bench.outbox.finish_run(f"t{number}", "finished", {})
    assert bench.outbox.close(20) == ("closed",)
    assert all(bench.tracker.steps(f"t{n}") == list(range(50)) for n in range(20))
    assert bench.tracker.verbs().count("finish_run") == 20
    assert list(tmp_path.iterdir()) == []


def test_closing_waits_for_a_slow_tracker_as_long_as_it_gets_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeTracker(lambda verb: time.sleep(0.05)), threaded=True)
    bench.outbox.start_run(run("t0"))
    for step in range(10):
        bench.outbox.log("t0", {"a": 1}, step)
    assert bench.outbox.close(0.2) == ("closed",)
    assert bench.tracker.steps("t0") == list(range(10))


def test_a_tracker_that_fails_at_its_close_is_no_fault_of_the_study(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeTracker(Fault("close")))
    bench.outbox.start_run(run("t0"))
    bench.pump()
    assert bench.outbox.close(1) == ("fake: closing failed: OSError: server says no.",)


def test_no_secret_of_the_environment_stands_in_a_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "canary0123456789")

    def leak(verb: str) -> None:
        raise OSError("https://user:hunter22@host/ rejects key canary0123456789")

    bench = Bench(tmp_path, FakeTracker(leak))
    bench.outbox.start_run(run("t0"))
    bench.pump()
    assert "canary" not in bench.notices[0] and "hunter22" not in bench.notices[0]

"""How a driver ends: what counts when several things happen at once, and what it leaves undone."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import driver as module
from orchestrator.disk import DiskFull
from orchestrator.driver import Driver
from orchestrator.errands import Errand
from orchestrator.errors import Interrupted, StudyError, Unreachable
from orchestrator.events import Event, StudyEnded, StudyStarted
from orchestrator.journal import JOURNAL, Journal, read_journal
from orchestrator.stop_request import forget_stop, stop_asked_at, stop_request
from tests.orchestrator.world import sweep

STARTED = StudyStarted(
    name="world", method="random", metric="eval_accuracy", goal="maximize", seed=1
)
FINISHED = StudyEnded(state="finished", reason="the search is complete")


class NoRay:
    """A Ray session in which nothing runs; notes how it was left."""

    gpus = 0.0
    place = "nowhere"
    was_told_to_end = False

    def __init__(self, *args: Any) -> None:
        self.there = True
        self.lost_mailbox = False
        self.left: list[str] = []

    def start(self) -> None: ...

    def send(self, address: str, command: object) -> None: ...

    def introduce(self, tracker: object) -> None: ...

    def is_gone(self) -> bool:
        return not self.there

    def answers(self) -> bool:
        return self.there

    def has_lost_mailbox(self) -> bool:
        return self.lost_mailbox

    def leave(self, *, released: bool) -> None:
        self.left.append("released" if released else "left")

    def forget(self) -> None:
        self.left.append("forgotten")

    def kill(self) -> None: ...


class Tracking:
    """Notes what it is told."""

    client = None

    def __init__(self) -> None:
        self.told: list[str] = []
        self.closed_in: list[float | None] = []
        self.broken: Exception | None = None

    def observe(self, event: Event) -> None:
        self.told.append(event.kind)

    def log_best_model(self, *args: object) -> None:
        self.told.append("best model")

    def close(self, timeout_s: float | None = None, *, gone: bool = False) -> None:
        self.closed_in.append(timeout_s)
        if gone:
            self.told.append("gone")
        if self.broken is not None:
            raise self.broken

    def scrub(self) -> None:
        self.told.append("scrubbed")


class Study:
    """A driver whose Ray does nothing, and what it wrote and said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notices: list[str] = []
        self.tracking = Tracking()
        self.driver = Driver(sweep(), folder, folder, address=None, on_notice=self.notices.append)
        self.ray: NoRay = self.driver._ray  # type: ignore[assignment]

    def begin(self) -> Driver:
        errand = Errand(spec=self.driver.spec)
        self.driver.open(Journal(self.folder / JOURNAL), [], [STARTED], errand)
        return self.driver

    def finish(self) -> None:
        """As the Dispatcher does, in Ray's thread."""
        with self.driver._lock:
            self.driver.state.apply(FINISHED)
            self.driver._record([FINISHED])

    @property
    def ends(self) -> list[str]:
        entries = read_journal(self.folder / JOURNAL).entries
        return [e.event.state for e in entries if isinstance(e.event, StudyEnded)]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    monkeypatch.setattr(module, "RaySession", NoRay)
    made = Study(tmp_path)
    monkeypatch.setattr(
        "orchestrator.tracking.service.make_tracking", lambda *args, **more: made.tracking
    )
    with made.driver.signals():
        yield made
        made.driver.close()


def soon(do: Callable[[], None], after_s: float = 0.1) -> None:
    threading.Timer(after_s, do).start()


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def full(folder: Path) -> None:
    raise DiskFull(f"{folder}: the disk is almost full")


# A study that has finished stays so --------------------------------------------------------


def test_a_signal_after_the_end_of_a_study_does_not_make_it_an_interrupted_one(
    study: Study,
) -> None:
    driver = study.begin()
    study.finish()
    interrupt()
    driver.wait()
    assert study.ends == ["finished"]


def test_low_water_after_the_end_of_a_study_does_not_make_it_an_interrupted_one(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = study.begin()
    study.finish()
    driver._woken.clear()
    monkeypatch.setattr(module, "require_reserve", full)
    soon(driver._woken.set, 0.8)
    driver.wait()
    assert study.ends == ["finished"]


def test_a_cluster_that_goes_after_the_end_of_a_study_does_not_make_it_an_interrupted_one(
    study: Study,
) -> None:
    driver = study.begin()
    study.finish()
    driver._woken.clear()
    study.ray.there = False
    soon(driver._woken.set, 0.8)
    driver.wait()
    assert study.ends == ["finished"]
    driver.close()
    assert study.ray.left == ["forgotten"]


def test_the_best_model_is_summed_without_holding_up_whoever_has_an_event(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = study.begin()
    summing, free = threading.Event(), threading.Event()

    def sum_it() -> None:
        summing.set()
        got = threading.Timer(0, lambda: driver._guarded(free.set))
        got.start()
        assert free.wait(5)
        study.tracking.told.append("best model")

    monkeypatch.setattr(driver._told, "_hand_over_best", sum_it)
    soon(study.finish)
    driver.wait()
    assert summing.is_set() and study.ends == ["finished"]
    assert study.tracking.told[-2:] == ["best model", "study_ended"]


def test_of_two_interruptions_one_is_written_and_the_first_is_raised(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = study.begin()
    monkeypatch.setattr(module, "require_reserve", lambda folder: (interrupt(), full(folder)))
    with pytest.raises(DiskFull):
        driver.wait()
    assert study.ends == ["interrupted"]


def test_an_error_after_the_end_of_a_study_does_not_undo_it(study: Study) -> None:
    driver = study.begin()
    study.finish()
    driver._guarded(lambda: full(study.folder))
    driver.wait()
    assert study.ends == ["finished"]


# Interruptions ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_written_and_told_with_what_to_type_next(study: Study, number: int) -> None:
    driver = study.begin()
    soon(lambda: os.kill(os.getpid(), number))
    with pytest.raises(Interrupted, match="sweep resume") as told:
        driver.wait()
    assert told.value.exit_code == 128 + number
    assert study.ends == ["interrupted"]


def test_a_signal_between_the_first_line_and_the_wait_is_that_of_a_study_that_has_begun(
    study: Study,
) -> None:
    driver = study.begin()
    interrupt()
    with pytest.raises(Interrupted, match="sweep resume"):
        driver.wait()
    assert study.ends == ["interrupted"]


def test_a_signal_before_the_first_line_says_so(study: Study) -> None:
    with pytest.raises(Interrupted, match="before the study began") as told:
        interrupt()
    assert "sweep resume" not in str(told.value)


def test_a_signal_before_a_study_goes_on_says_how_to_go_on(study: Study) -> None:
    journal = Journal(study.folder / JOURNAL)
    journal.append([STARTED])
    journal.close()
    with pytest.raises(Interrupted, match="nothing was changed") as told:
        interrupt()
    assert f"sweep resume {study.folder}" in str(told.value)


def test_a_dead_mailbox_is_a_lost_cluster_that_is_still_left_in_order(study: Study) -> None:
    driver = study.begin()
    study.ray.lost_mailbox = True
    with pytest.raises(Unreachable, match="commands reach no worker") as told:
        driver.wait()
    assert told.value.exit_code == 7 and "sweep resume" in str(told.value)
    assert study.ends == ["interrupted"]
    driver.close()
    assert study.ray.left == ["left"]


def test_a_folder_that_cannot_be_looked_at_is_no_bug(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(folder: Path) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    driver = study.begin()
    monkeypatch.setattr(module, "require_reserve", stale)
    with pytest.raises(StudyError, match=r"Stale file handle\.\n.*sweep resume"):
        driver.wait()


# Closing ----------------------------------------------------------------------------------


def test_what_goes_wrong_while_closing_is_said_and_keeps_nothing_else_from_being_closed(
    study: Study,
) -> None:
    driver = study.begin()
    let_go: list[str] = []
    driver.on_written(lambda: let_go.append("free"))
    study.tracking.broken = RuntimeError("no such actor")
    study.finish()
    driver.wait()
    driver.close()
    assert let_go == ["free"] and study.ray.left == ["released"]
    assert "no such actor" in study.notices[-1]


def test_trackers_are_not_called_once_the_cluster_is_gone(study: Study) -> None:
    driver = study.begin()
    study.ray.there = False
    with pytest.raises(Unreachable):
        driver.wait()
    driver.close()
    assert "gone" in study.tracking.told and study.ray.left == ["forgotten"]


def test_a_tracking_process_that_went_with_its_cluster_is_not_called(tmp_path: Path) -> None:
    from orchestrator.tracking.service import Tracking as Real

    notices: list[str] = []
    began = time.monotonic()
    Real(sweep(), None, tmp_path, notices.append).close(gone=True)
    assert time.monotonic() - began < 1
    assert f"kept in {tmp_path}" in notices[0]


def test_the_first_signal_while_closing_is_only_noted(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(study.driver._searcher, "close", interrupt)
        study.driver.close()
    assert study.driver._signals.number == signal.SIGINT and study.ray.left == ["left"]


def test_a_study_is_free_before_what_is_queued_to_be_deleted_is_gone(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = study.begin()
    deleted: list[str] = []
    on_disk, seen = threading.Event(), [0.0]

    def slowly(path: Path) -> None:
        on_disk.wait(5)
        deleted.append(path.name)

    monkeypatch.setattr("orchestrator.checkpoints.remove", slowly)
    for number in range(3):
        driver._deletions.add(f"c{number}")
    began = time.monotonic()
    driver.on_written(lambda: seen.__setitem__(0, time.monotonic() - began))
    soon(interrupt)
    with pytest.raises(Interrupted):
        driver.wait()
    driver.close()
    on_disk.set()
    assert 0 < seen[0] < 2
    assert len(deleted) <= 1, "what is not begun is named again by a resume"


def test_what_a_finished_study_does_not_need_is_deleted_before_it_is_left(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = study.begin()
    deleted: list[str] = []
    monkeypatch.setattr("orchestrator.checkpoints.remove", lambda path: deleted.append(path.name))
    for number in range(3):
        driver._deletions.add(f"c{number}")
    study.finish()
    driver.wait()
    driver.close()
    assert deleted == ["c0", "c1", "c2"]


def test_logs_are_scrubbed_when_the_study_is_free(study: Study) -> None:
    driver = study.begin()
    driver.on_written(lambda: study.tracking.told.append("free"))
    soon(interrupt)
    with pytest.raises(Interrupted):
        driver.wait()
    driver.close()
    assert study.tracking.told[-2:] == ["free", "scrubbed"]


# Stopping ---------------------------------------------------------------------------------


def test_a_study_whose_workers_are_all_gone_can_be_stopped(study: Study) -> None:
    driver = study.begin()
    stop_request(study.folder).touch()
    driver.wait()
    assert study.ends == ["stopped"]


def test_what_an_earlier_driver_was_asked_is_forgotten_and_what_this_one_is_asked_is_not(
    tmp_path: Path,
) -> None:
    request = stop_request(tmp_path)
    forget_stop(tmp_path, stop_asked_at(tmp_path))
    request.touch()
    forget_stop(tmp_path, None)  # asked since this driver has the study
    assert request.exists()
    earlier = stop_asked_at(tmp_path)
    os.utime(request, ns=(1, 1))  # asked again
    forget_stop(tmp_path, earlier)
    assert request.exists()
    forget_stop(tmp_path, stop_asked_at(tmp_path))
    assert not request.exists()

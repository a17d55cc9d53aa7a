import io

from rich.console import Console

from orchestrator.events import TrialExtended, TrialInterrupted
from orchestrator.state import StudyState
from sweeps.console import Surface
from sweeps.live import glance_view, time_left, view_of
from sweeps.narration import PlainView
from sweeps.tally import Tally
from tests.sweeps.studies import (
    config,
    population_spec,
    population_study,
    proposed,
    random_study,
    reached,
    segment,
    spec,
    started,
)


class Clock:
    """A clock that goes on by one second whenever it is read."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def tell(view, events):
    """Show the events to the view the way the engine does."""
    state = StudyState()
    for event in events:
        state.apply(event)
        view(event, state)
    return state


def drawn(renderable) -> str:
    console = Console(file=io.StringIO(), width=120, markup=False)
    console.print(renderable)
    return console.file.getvalue()


def plain_lines(capsys, events, folder):
    tell(PlainView(Surface(plain=True), folder, Clock()), events)
    return capsys.readouterr().out.splitlines()


def test_plain_lines_tell_starts_boundaries_and_ends_with_the_time(capsys, tmp_path):
    lines = plain_lines(capsys, random_study(spec(), failing=False), tmp_path)
    assert lines[0].split() == [
        "0:01", "trial", "0000", "starts:", "learning_rate=0.5", "hidden_dropout_prob=0",
    ]  # fmt: skip
    assert lines[1].split() == ["0:02", "trial", "0000", "1/2", "accuracy", "0.8"]
    assert lines[3].split()[1:] == ["trial", "0000", "finished,", "best", "0.8"]


def test_a_plain_line_of_a_failure_names_the_log(capsys, tmp_path):
    lines = plain_lines(capsys, random_study(spec(), message="boom\nat line 3"), tmp_path)
    log = tmp_path / "trials" / "0001" / "log.txt"
    assert lines[-1].endswith(f"trial 0001 failed (code): boom  log: {log}")


def test_a_plain_line_of_an_exploit_says_whom_and_what_changed(capsys, tmp_path):
    lines = plain_lines(capsys, population_study(population_spec()), tmp_path)
    assert any("trial 0001 copies 0000 at 1: learning_rate 0.5 -> 0.4" in line for line in lines)


def test_a_plain_line_of_an_interruption_says_that_the_trial_goes_on(capsys, tmp_path):
    events = random_study(spec())[:3]
    gone = TrialInterrupted(trial="0000", failure="infrastructure", message="its worker died")
    lines = plain_lines(capsys, [*events, gone], tmp_path)
    assert "its worker died); it will be taken up again" in lines[-1]


def test_the_live_picture_holds_counts_best_running_trials_and_the_last_failure():
    events = [started(spec()), proposed(0, config(0.5)), segment(0, 0, config(0.5))]
    state = StudyState.of([*events, *reached(0, 1, 0.8)])
    picture = Tally.of(state).glance(
        spec(),
        done=1,
        training={"0000"},
        failure="trial 0007 failed (code): boom  log: x/log.txt",
    )
    shown = drawn(glance_view(picture, spec(), elapsed_s=75, pace_s=60))
    assert "tiny  random search  1:15" in shown
    assert "1 of 2 trials: 1 running" in shown
    assert "best: accuracy 0.8 by trial 0000 at epoch 1  learning_rate=0.5" in shown
    row = next(line for line in shown.splitlines() if "1/2" in line)
    assert row.split() == ["0000", "1/2", "0.8", "learning_rate=0.5", "hidden_dropout_prob=0"]
    assert "log: x/log.txt" in shown


def test_the_live_picture_of_a_smoke_run_says_so():
    small = spec(smoke=True)
    picture = Tally.of(StudyState.of([started(small)])).glance(small, done=0, training=set())
    assert "SMOKE RUN" in drawn(glance_view(picture, small, elapsed_s=1, pace_s=0))


def test_running_trials_beyond_the_screen_are_counted():
    events = [started(spec())]
    for n in range(20):
        events += [proposed(n, config(0.5)), segment(n, 0, config(0.5))]
    state = StudyState.of(events)
    picture = Tally.of(state).glance(spec(run_cap=20), done=0, training=set(state.trials))
    assert "and 8 more running" in drawn(glance_view(picture, spec(), elapsed_s=1, pace_s=0))


def test_a_member_that_waits_for_its_turn_is_not_counted_as_running():
    events = [started(spec())]
    for n in range(4):
        events += [proposed(n, config(0.5)), segment(n, 0, config(0.5))]
    picture = Tally.of(StudyState.of(events)).glance(spec(), done=0, training={"0002", "0003"})
    assert picture.counts == {"running": 2, "waiting": 2}
    assert [row[0] for row in picture.running] == ["0002", "0003"]


def test_time_left_comes_from_the_pace_so_far():
    assert time_left(10, 5, 60.0) == "about 2 min 00 s left"
    assert time_left(10, 1, 60.0) == ""
    assert time_left(None, 5, 60.0) == ""


def test_trials_not_yet_proposed_count_as_time_left():
    events = [started(spec()), proposed(0, config(0.5)), segment(0, 0, config(0.5))]
    state = StudyState.of([*events, *reached(0, 1, 0.8)])
    assert Tally.of(state).remaining_boundaries(spec(run_cap=3)) == 1 + 2 * 2
    assert Tally.of(state).remaining_boundaries(spec(run_cap=None, budget={"epochs": 9.0})) is None


def test_a_tally_told_event_by_event_is_that_of_the_state_after_each():
    extended = TrialExtended(trial="0001", boundaries=4, epochs=4.0)
    again = [extended, segment(1, 2, config(0.4)), *reached(1, 3, 0.9)]
    for events in (random_study(spec()), [*population_study(population_spec()), *again]):
        told, state = Tally(), StudyState()
        for event in events:
            state.apply(event)
            told.tell(event, state)
            training = {"0000"}
            sketch = [t.glance(spec(), done=0, training=training) for t in (told, Tally.of(state))]
            assert sketch[0] == sketch[1], event


def test_the_live_view_is_drawn_on_a_terminal_and_gone_at_the_end(tmp_path):
    surface = Surface()
    file = io.StringIO()
    surface.human = Console(file=file, force_terminal=True, width=100, markup=False)
    surface.live = True
    with view_of(surface, population_spec(), tmp_path) as view:
        tell(view, population_study(population_spec()))
    shown = file.getvalue()
    assert "2 of 2 trials: 2 finished" in shown
    assert shown.endswith("\x1b[2K")  # the last line of the picture is erased

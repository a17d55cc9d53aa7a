"""How a fault is shown."""

from __future__ import annotations

import pickle

from search_spaces import Fault, Place, SpecError, SweepError
from search_spaces.errors import did_you_mean, nearest, printable

LINES = ["  learning_rate: {min: 1e-3, max: 1e-5}", "\tx: \x1b[2Jy", "a" * 300]


def shown(fault: Fault) -> str:
    return SpecError([fault], "spaces/a.yaml", LINES).render()


def test_a_fault_is_shown_with_its_line_a_caret_and_the_mend() -> None:
    fault = Fault(
        "parameters.learning_rate.min", Place(0, 1, 24, 28), "must be below max",
        "min 1e-3, max 1e-5", "swap the two",
    )  # fmt: skip
    assert shown(fault) == (
        "spaces/a.yaml:1:24: parameters.learning_rate.min: must be below max; got min 1e-3, "
        "max 1e-5.\n"
        "    1 |   learning_rate: {min: 1e-3, max: 1e-5}\n"
        "      |                        ^^^^\n"
        "    mend: swap the two.\n"
        "1 fault in spaces/a.yaml; nothing was started."
    )


def test_faults_are_sorted_by_place_overrides_last_and_repeated_once() -> None:
    faults = [
        Fault("c", Place(1, label="--set c=1"), "x"),
        Fault("b", Place(0, 2, 1, 2), "x"),
        Fault("a", Place(0, 1, 9, 10), "x"),
        Fault("a", Place(0, 1, 3, 4), "x"),
        Fault("b", Place(0, 2, 1, 2), "x"),
    ]
    error = SpecError(faults, "f.yaml", LINES)
    assert [f.path for f in error.faults] == ["a", "a", "b", "c"]
    assert "--set c=1: c: x.\n4 faults in f.yaml" in error.render()


def test_a_files_text_cannot_drive_the_terminal() -> None:
    fault = Fault("x\x1b]0;", Place(0, 2, 5, 9), "no", "\x1b[2J\u202e", "\x07")
    assert not any(ord(c) < 32 and c != "\n" for c in shown(fault))
    assert "\u202e" not in shown(fault)


def test_a_long_line_is_cut_around_the_place() -> None:
    text = shown(Fault("a", Place(0, 3, 250, 260), "no", "", "m"))
    line, caret = text.splitlines()[1:3]
    assert len(line) < 120
    assert caret.index("^") < len(line)


def test_a_spec_error_survives_pickling_and_is_a_sweep_error_with_exit_code_2() -> None:
    error = SpecError([Fault("a", Place(0, 1, 1, 2), "no")], "f", LINES)
    again = pickle.loads(pickle.dumps(error))
    assert (again.faults, again.render()) == (error.faults, error.render())
    assert isinstance(error, SweepError)
    assert (error.exit_code, SweepError.exit_code) == (2, 1)


def test_the_nearest_word_is_offered_and_a_far_one_is_not() -> None:
    words = ["learning_rate", "weight_decay"]
    assert nearest("learning-rate", words) == "learning_rate"
    assert nearest("LEARNING_RATE", words) == "learning_rate"
    assert nearest("wieght_decay", words) == "weight_decay"
    assert nearest("zebra", words) is None
    assert nearest("x" * 10_000, words) is None
    assert did_you_mean("zebra", words) == "Keys here: learning_rate, weight_decay"


def test_printable_escapes_and_cuts() -> None:
    assert printable("a\nb\x00") == "a\\nb\\x00"
    assert printable("x" * 20, 10) == "xxxxxxx..."

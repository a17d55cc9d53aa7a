import pytest

from sweeps.text import (
    changes_text,
    clock,
    command,
    config_text,
    count,
    duration,
    last_lines,
    number,
    printable,
    setting,
    short_names,
    size,
)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("bell\x07", "bell\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("two\nlines", "two\nlines"),
        ("\udc80", "\\udc80"),
    ],
)
def test_control_characters_of_foreign_text_are_shown_and_not_obeyed(hostile, shown):
    assert printable(hostile) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (3, "3"),
        (0.123456789, "0.12346"),
        (5e-5, "5e-05"),
        (float("nan"), "nan"),
        (1000000, "1000000"),
    ],
)
def test_numbers_have_at_most_five_significant_digits(value, shown):
    assert number(value) == shown


def test_settings_that_are_no_floats_are_shown_as_they_are():
    assert [setting(v) for v in (True, 16, "adamw", 3.0e-5)] == ["True", "16", "adamw", "3e-05"]


@pytest.mark.parametrize(
    ("seconds", "words", "face"),
    [
        (-1, "0 s", "0:00"),
        (59.4, "59 s", "0:59"),
        (190, "3 min 10 s", "3:10"),
        (7500, "2 h 05 min", "2:05:00"),
    ],
)
def test_durations_are_told_in_words_and_as_a_clock(seconds, words, face):
    assert (duration(seconds), clock(seconds)) == (words, face)


def test_sizes_have_binary_units():
    assert [size(n) for n in (12, 2048, 1.3 * 2**30, 5 * 2**40)] == [
        "12 B",
        "2.0 KiB",
        "1.3 GiB",
        "5.0 TiB",
    ]


def test_a_dotted_name_is_cut_to_its_shortest_ending_that_is_nobody_elses():
    assert short_names(["lr", "task.model_config.dropout", "task.head.dropout", "task.model"]) == {
        "lr": "lr",
        "task.model_config.dropout": "model_config.dropout",
        "task.head.dropout": "head.dropout",
        "task.model": "model",
    }


def test_a_configuration_stands_in_one_line():
    line = config_text({"learning_rate": 3e-5, "task.model_config.dropout": 0.1})
    assert line == "learning_rate=3e-05 dropout=0.1"


def test_changes_name_only_what_changed():
    before = {"learning_rate": 1e-5, "weight_decay": 0.1}
    assert changes_text(before, {"learning_rate": 2e-5, "weight_decay": 0.1}) == (
        "learning_rate 1e-05 -> 2e-05"
    )
    assert changes_text(before, before) == "nothing"


def test_one_is_singular():
    assert [count(1, "trial"), count(2, "trial"), count(2, "entry", "entries")] == [
        "1 trial",
        "2 trials",
        "2 entries",
    ]


def test_a_suggested_command_can_be_pasted_into_a_shell():
    assert command("sweep", "run", "my file.yaml") == "sweep run 'my file.yaml'"


def test_the_last_lines_of_a_log_leave_trailing_blanks_out():
    assert last_lines("a\nb\nc\n\n", 2) == "b\nc"

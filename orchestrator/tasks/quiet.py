"""The libraries' chatter off while a task is prepared or a model is built.

Progress bars and load reports are for a person at a prompt; a worker's output is kept in the
trial's log, and the driver's may be a JSON object. What they would have warned of and we care
about is checked by ourselves. Everything is put back as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_hub() -> Iterator[None]:
    """No progress bars and no log lines below errors of the Hub's client."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    level = logging.get_verbosity()
    bars = not are_progress_bars_disabled()
    logging.set_verbosity_error()
    disable_progress_bars()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            enable_progress_bars()


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """No progress bars and no log lines below errors of `datasets`, nor of the Hub's client."""
    import datasets

    level = datasets.logging.get_verbosity()
    bars = not datasets.are_progress_bars_disabled()
    datasets.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        with quiet_hub():
            yield
    finally:
        datasets.logging.set_verbosity(level)
        if bars:
            datasets.enable_progress_bars()


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no log lines below errors of `transformers`."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()

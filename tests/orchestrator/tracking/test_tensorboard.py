"""TensorBoard event files hold the same names and steps."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from orchestrator.tracking.backends import open_outboxes
from tests.orchestrator.tracking.fakes import run, toy_spec

pytest.importorskip("tensorboardX")


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read (step, value) by name: records of length, crc, data, crc."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob("events.*")):
        data, position = path.read_bytes(), 0
        while position < len(data):
            (length,) = struct.unpack("<Q", data[position : position + 8])
            event = Event.FromString(data[position + 12 : position + 12 + length])
            position += 12 + length + 4
            for value in event.summary.value:
                if value.WhichOneof("value") == "simple_value":
                    point = (event.step, pytest.approx(value.simple_value))
                    found.setdefault(value.tag, []).append(point)
    return found


@pytest.mark.slow
def test_event_files_hold_losses_and_metrics_at_their_steps(tmp_path: Path) -> None:
    spec = toy_spec(tmp_path)
    tracking = spec.tracking.model_copy(update={"backends": ("tensorboard",)})
    outboxes = open_outboxes(
        spec.model_copy(update={"tracking": tracking}), tmp_path / "tracking", pytest.fail
    )
    outboxes.start_run(run("t0", learning_rate=1e-5, task={"model": "m", "metrics": ["a"]}))
    outboxes.log("t0", {"train/loss": 0.5, "train/epoch": 1.0, "note": "text"}, 5)
    outboxes.log("t0", {"eval/accuracy": 0.75, "train_runtime": 2.0}, 10)
    outboxes.finish_run("t0", "finished", {"best/eval_accuracy": 0.75, "state": "finished"})
    (word,) = outboxes.close(30)
    assert word.startswith("tensorboard: see the runs with: tensorboard --logdir")
    curves = scalars(tmp_path / "tracking" / "tensorboard" / "t0")
    assert curves["train/loss"] == [(5, 0.5)]
    assert curves["eval/accuracy"] == [(10, 0.75)]
    assert curves["train/train_runtime"] == [(10, 2.0)]
    assert list((tmp_path / "tracking" / "tensorboard" / "t0" / "hparams").glob("events.*"))

"""Which files of a checkpoint are the model, and the model alone as a folder of its own.

A checkpoint already is what `from_pretrained` reads; what only training needs, above all every
pickle, is left out.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath

from orchestrator.manifest import MANIFEST, CheckpointUnreadable, verify

_FOR_TRAINING = (MANIFEST, "state.json", "trainer_state.json")
_PICKLES = (".bin", ".pkl", ".pt", ".pth")


def is_model_file(name: str) -> bool:
    """Whether a checkpoint's file belongs to the model and not to its training."""
    return name not in _FOR_TRAINING and PurePosixPath(name).suffix not in _PICKLES


def link_model(checkpoint: Path, target: Path) -> Path:
    """Make a folder of the model's files, as links that cost no room; replaces an older one.

    Raises:
        CheckpointError: the checkpoint is damaged.
        OSError: the folder cannot be written, or the checkpoint not read.
    """
    shutil.rmtree(target, ignore_errors=True)
    try:
        files = verify(checkpoint).files
    except CheckpointUnreadable as error:
        raise OSError(error.rule) from error
    for name in filter(is_model_file, files):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(checkpoint / name, target / name)
        except OSError:  # not every file system has hard links
            shutil.copyfile(checkpoint / name, target / name)
    return target

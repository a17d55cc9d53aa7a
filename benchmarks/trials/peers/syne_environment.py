"""Syne Tune's own environment: it pins versions that need not go together with ours.

    PIP_ARGS is passed to pip, for example an index that has a CPU-only torch.

torch, transformers and what they need are installed in the versions that we run, so that what is
compared is the orchestration.
"""

from __future__ import annotations

import importlib.metadata
import os
import shlex
import subprocess
import venv
from pathlib import Path

SYNE_TUNE = "syne-tune==0.16.0"
_SAME_AS_OURS = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy")
_DONE = "installed.txt"


def interpreter(folder: Path) -> Path:
    """Make the environment in `folder` unless it stands; return its interpreter.

    Raises:
        subprocess.CalledProcessError: pip failed; it has said why.
    """
    python = folder / "bin" / "python"
    packages = [SYNE_TUNE, *(_pinned(package) for package in _SAME_AS_OURS)]
    done = folder / _DONE
    if done.is_file() and done.read_text("utf-8").split() == packages:
        return python
    print(f"installing {SYNE_TUNE} in an environment of its own ...", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, *shlex.split(os.environ.get("PIP_ARGS", "")), *packages], check=True)
    done.write_text("\n".join(packages), "utf-8")
    return python


def _pinned(package: str) -> str:
    return f"{package}=={importlib.metadata.version(package)}"

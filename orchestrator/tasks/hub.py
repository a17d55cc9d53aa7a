"""The Hugging Face Hub: whether it answers, what is on this machine already, what is missing.

Loads no model and no data set by itself. Left alone, the libraries retry every file for 24 s
before they say that there is no network (two files: 50 s). So the Hub is asked once, with a
deadline; when it does not answer, everything is looked up in the local cache only, and what is
not there is one error that names it. What a revision's files are is looked up in the local
cache first: what a node's first worker fetched, its others read and ask nobody.
"""

from __future__ import annotations

import functools
import http.client
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.tasks.errors import HubUnreachable, TaskError
from orchestrator.tasks.quiet import quiet_hub

DEADLINE_S = 8.0
"""How long the Hub may take to answer the first question."""

_TOKENIZER_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "tokenizer*"]
_ANY_TOKENIZER = ["tokenizer*", "vocab.*", "*.model"]
_WEIGHT_FILES = ["model.safetensors", "model-*.safetensors"]
_OLD_WEIGHT_FILES = ["pytorch_model.bin", "pytorch_model-*.bin"]


def offline() -> bool:
    """Whether the user switched the network off (HF_HUB_OFFLINE and its kin)."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in names)


def reachable() -> bool:
    """Whether the Hub answers within DEADLINE_S; asked once a process, with proxies honoured."""
    if offline():
        return False
    return _answers(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))


@functools.lru_cache
def _answers(endpoint: str) -> bool:
    """Asks in a thread, because name look-ups know no deadline."""
    answers = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(endpoint, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S):
                answers.set()
        except urllib.error.HTTPError as refusal:
            # A refusal is an answer; a server error is what the libraries would wait for.
            if refusal.code < 500:
                answers.set()
        except urllib.error.URLError as error:
            # The libraries may trust a certificate that Python's own store does not.
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                answers.set()
        except (OSError, ValueError, http.client.HTTPException):
            return

    thread = threading.Thread(target=ask, name="hub", daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    return answers.is_set()


def unreachable(what: str, name: str, mend: str) -> HubUnreachable:
    """The one error for something that is needed and can be had nowhere."""
    why = "HF_HUB_OFFLINE is set" if offline() else "the Hugging Face Hub does not answer"
    return HubUnreachable(
        f"{what} {name} is neither a folder here nor in the local cache, and {why}.",
        mend=f"{mend}; `--smoke` runs the sweep with toy data and a tiny random model.",
    )


def snapshot(model: str, revision: str, *, weights: bool) -> Path:
    """Return the local folder of a model of the Hub, fetching what is missing.

    Args:
        model: `name` or `namespace/name`.
        revision: branch, tag or commit.
        weights: whether the weights are needed, beside configuration and tokenizer.

    Raises:
        HubUnreachable: it is not here and the Hub does not answer.
        TaskError: the Hub does not have it, or not for this user.
    """
    from huggingface_hub import snapshot_download, try_to_load_from_cache
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    mend = "give task.model a folder with config.json, tokenizer and weights"
    try:
        config = try_to_load_from_cache(model, "config.json", revision=revision)
    except HFValidationError as error:
        raise TaskError(
            f"task.model: there is no folder {model}, and it is no name on the Hub either.",
            mend=f"write namespace/name as on the Hub, or {mend}.",
        ) from error
    # Looked up file by file: asked for a whole snapshot, the library wants every file of it.
    if isinstance(config, str) and _complete(Path(config).parent, weights):
        return Path(config).parent
    if not reachable():
        raise unreachable("task.model:", model, mend)
    try:
        with quiet_hub():
            folder = Path(
                snapshot_download(model, revision=revision, allow_patterns=_TOKENIZER_FILES)
            )
            # Last, so that where there are weights everything else is there too.
            for patterns in (_WEIGHT_FILES, _OLD_WEIGHT_FILES) if weights else ():
                if not has_weights(folder):
                    snapshot_download(model, revision=revision, allow_patterns=patterns)
    except GatedRepoError as error:
        raise TaskError(
            f"task.model: {model} is gated on the Hub.",
            mend="ask for access on its page, and log in with `hf auth login` or HF_TOKEN.",
        ) from error
    except RepositoryNotFoundError as error:
        raise TaskError(
            f"task.model: there is no folder {model}, and the Hub has no model of that name.",
            mend="check the name; for a private one log in with `hf auth login` or HF_TOKEN.",
        ) from error
    except RevisionNotFoundError as error:
        raise TaskError(
            f"task.revision: the Hub has no revision {revision} of {model}.",
            mend="write a branch, tag or commit that its page lists.",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise unreachable("task.model:", model, mend) from error
    return folder


def _complete(folder: Path, weights: bool) -> bool:
    """Whether what is cached is all that is needed; another program may have fetched a part."""
    if not (folder / "config.json").is_file():
        return False
    tokenizer = any(any(folder.glob(pattern)) for pattern in _ANY_TOKENIZER)
    return tokenizer and (not weights or has_weights(folder))


def has_weights(folder: Path) -> bool:
    """Whether a model folder holds weights in a form that transformers loads."""
    names = ("model.safetensors", "pytorch_model.bin")
    return any((folder / n).is_file() or (folder / f"{n}.index.json").is_file() for n in names)


@contextmanager
def data_from_cache_only() -> Iterator[None]:
    """While this holds, `datasets` reads its cache and asks nobody.

    Its documented switch is an environment variable that is read at import; this sets what it
    was read into, which is the one private thing we lean on here.
    """
    from datasets import config

    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before

"""A sweep file on its way: what the rules across keys look at, and the questions they ask.

Checks nothing itself. Everything that was wrong by itself has been replaced by its default here,
so a rule asks what was given (`has`) and what is bad before it believes a default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search_spaces.domains import is_number
from search_spaces.findings import Findings
from search_spaces.parameters import numbers
from search_spaces.space import Space
from search_spaces.spec import SweepSpec


@dataclass(frozen=True)
class Draft:
    """What the rules look at.

    Attributes:
        spec: everything that fits by itself.
        space: the domains that are right.
        given: the file's data after translation, to tell what was written from defaults.
        findings: takes the faults and notes.
        allow_code: whether `--allow-code` was passed.
    """

    spec: SweepSpec
    space: Space
    given: dict[str, Any]
    findings: Findings
    allow_code: bool = False

    def has(self, *path: str) -> bool:
        """Return whether the file has a key."""
        data: Any = self.given
        for step in path:
            if not isinstance(data, dict) or step not in data:
                return False
            data = data[step]
        return True

    def most(self, name: str) -> Any:
        """Return the largest value that a setting takes over the space, None when unknown."""
        if name in self.space:
            ends = numbers(self.space[name])
            return ends[1] if ends else None
        if self.findings.is_bad("parameters", name) or self.findings.is_bad(
            "training_arguments", name
        ):
            return None
        return self.spec.setting({}, name)

    def boundaries(self) -> int | None:
        """Return the most boundaries that a trial can have, None when that is not known here."""
        names = ("eval_strategy", "eval_steps", "num_train_epochs", "logging_steps")
        if any(self.findings.is_bad("training_arguments", n) for n in names):
            return None
        epochs = self.most("num_train_epochs")
        if not is_number(epochs):
            return None
        try:
            return self.spec.boundaries({"num_train_epochs": epochs})
        except ValueError:
            return None

"""What the test split said of the checkpoint that a study selected, and what was seen before that.

Reads a state; decides nothing and words nothing. It has a home of its own because a person meets
the figure in several places (`sweep show`, an exported model's card, the report), and all must mean
one look: the first at that checkpoint. A look that came after another checkpoint had been looked at
is a second look, whatever it found: what was selected since may have been chosen by the first.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from orchestrator.after_search import looks_at_test
from orchestrator.events import Evaluated
from orchestrator.state import StudyState


@dataclass(frozen=True)
class Looked:
    """Looks at the test split, as the checkpoint that is selected now sees them.

    Attributes:
        first: the first look at it; None: there was none.
        before: looks at other checkpoints before that, without the default configuration's own.
        repeated: whether this checkpoint itself was looked at more than once.
    """

    first: Evaluated | None = None
    before: tuple[Evaluated, ...] = ()
    repeated: bool = False

    @property
    def is_second(self) -> bool:
        """Whether the look knew another one, so that nothing can be claimed by it."""
        return self.first is not None and (self.first.again or bool(self.before))


def looked(state: StudyState) -> Looked:
    """Return the looks at the test split; nothing of them without a selected checkpoint."""
    selected, looks = state.selected, looks_at_test(state)
    if selected is None:
        return Looked()
    own = [look for look in looks if look.checkpoint == selected.checkpoint]
    earlier = itertools.takewhile(lambda look: look.checkpoint != selected.checkpoint, looks)
    # The first of all is that of what was selected then, even if that was the default's trial.
    default = None if state.default is None else state.default.id
    before = [look for at, look in enumerate(earlier) if at == 0 or look.trial != default]
    return Looked(own[0] if own else None, tuple(before), len(own) > 1)

"""The language of sweep files: read one, ask it, draw from its space.

Never imports ray, torch, transformers or numpy: `sweep validate` answers at once.
"""

from search_spaces.domains import (
    Choice,
    Constant,
    Domain,
    IntUniform,
    LogUniform,
    Quantized,
    Uniform,
)
from search_spaces.errors import Fault, Place, SpecError, SweepError
from search_spaces.parts import (
    BudgetSpec,
    DatasetSpec,
    EarlyTerminateSpec,
    FailuresSpec,
    FinalistsSpec,
    MetricSpec,
    PopulationSpec,
    ResourcesSpec,
    SplitFrom,
    TaskSpec,
    TrackingSpec,
)
from search_spaces.reading import read_sweep
from search_spaces.seeds import generator
from search_spaces.space import Config, Space
from search_spaces.spec import Sweep, SweepSpec

__all__ = [
    "BudgetSpec",
    "Choice",
    "Config",
    "Constant",
    "DatasetSpec",
    "Domain",
    "EarlyTerminateSpec",
    "FailuresSpec",
    "Fault",
    "FinalistsSpec",
    "IntUniform",
    "LogUniform",
    "MetricSpec",
    "Place",
    "PopulationSpec",
    "Quantized",
    "ResourcesSpec",
    "Space",
    "SpecError",
    "SplitFrom",
    "Sweep",
    "SweepError",
    "SweepSpec",
    "TaskSpec",
    "TrackingSpec",
    "Uniform",
    "generator",
    "read_sweep",
]

"""The sizing engine: what a model needs, and what a machine makes of it.

Takes a `ModelShape` (from a card, a config or numbers), a need (`ServeNeed`, `TrainNeed`), a `Node` and the constants
(`SizingFacts`). Gives a fit or a `Shortfall`. Promises: pure functions, bytes and seconds inside, a range for everything
that comes from a model of reality, and no silent guess.
"""

from infragen.decide.sizing.config import from_config
from infragen.decide.sizing.energy import kg_co2e_per_hour, power_kw, wh_per_token
from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.names import find
from infragen.decide.sizing.node import Node, Shortfall, node_of
from infragen.decide.sizing.serving import ServeNeed, ServingFit, size_serving
from infragen.decide.sizing.shape import ModelShape, ShapeError, from_card, from_numbers, overridden
from infragen.decide.sizing.training import TrainingFit, TrainNeed, size_training

__all__ = [
    "ModelShape",
    "Node",
    "ServeNeed",
    "ServingFit",
    "ShapeError",
    "Shortfall",
    "SizingFacts",
    "TrainNeed",
    "TrainingFit",
    "find",
    "from_card",
    "from_config",
    "from_numbers",
    "kg_co2e_per_hour",
    "node_of",
    "overridden",
    "power_kw",
    "size_serving",
    "size_training",
    "wh_per_token",
]

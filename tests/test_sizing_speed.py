"""Sizing a descriptor over all machines is quick: measured against a plain loop on the same computer."""

import pytest

from infragen.decide.sizing.facts import SizingFacts
from infragen.decide.sizing.node import node_of
from infragen.decide.sizing.serving import ServeNeed, size_serving
from infragen.decide.sizing.shape import from_card
from infragen.decide.sizing.training import TrainNeed, size_training
from infragen.facts.load import Catalog
from tests.clock import loops

CATALOG = Catalog()
FACTS = SizingFacts(CATALOG)
SHAPE = from_card(CATALOG.models["Llama-3.1-70B"], FACTS)
NODES = [
    node_of(record, CATALOG.accelerators[record.accelerator], CATALOG.fabrics[record.fabric])
    for record in CATALOG.machines.values()
    if record.accelerator
]


def test_serving_over_all_machines() -> None:
    need = ServeNeed(input_tokens=2000, output_tokens=500, max_context_tokens=8192, requests_per_second=4,
                     ttft_ms=1500, tpot_ms=50, precision="fp8")  # fmt: skip
    assert loops(lambda: [size_serving(SHAPE, need, node, FACTS) for node in NODES]) < 20


@pytest.mark.parametrize(
    "need",
    [
        TrainNeed(tokens=200e9, deadline_s=21 * 86_400.0, sequence_length=8192, global_batch_tokens=4e6),
        TrainNeed(method="full", tokens=1e9, is_finetune=True),
        TrainNeed(method="lora", tokens=1e9, is_finetune=True),
        TrainNeed(method="qlora", tokens=1e9, is_finetune=True),
    ],
)
def test_training_over_all_machines(need: TrainNeed) -> None:
    assert loops(lambda: [size_training(SHAPE, need, node, FACTS) for node in NODES]) < 25

"""Which arithmetic a chip does for weights of a format, and what the weights weigh.

Takes a model, a chip and the format asked for. Gives an `Arithmetic`, or the `Shortfall` that refuses it. Promises: a
format that is only stored (dequantised on the fly) is said so and computed in the next native one.
"""

from msgspec import Struct

from infragen.decide.sizing.facts import NumberFormat, SizingFacts
from infragen.decide.sizing.node import Shortfall
from infragen.decide.sizing.shape import ModelShape
from infragen.facts.model import Accelerator

SIXTEEN_BITS = 2.0  # bytes of what is not quantised
DEQUANTISATION_COST = 0.85  # of the arithmetic rate that is left where weights are unpacked on the fly
TRAINING_FORMATS = frozenset({"fp32", "bf16", "fp16", "fp8"})


class Arithmetic(Struct, frozen=True):
    """How weights are stored and computed. ``peak_flops`` is per whole chip; None where no figure is known."""

    stored: NumberFormat
    computed: str
    peak_flops: float | None
    is_dequantised: bool = False
    assumptions: tuple[str, ...] = ()


def peak_flops(accelerator: Accelerator, computed: str) -> float | None:
    """Dense peak in FLOP/s of a chip in a compute format; None where the chip has no unit for it or no figure."""
    tera = {
        "fp32": accelerator.fp32_tflops,
        "bf16": accelerator.bf16_tflops,
        "fp16": accelerator.fp16_tflops or accelerator.bf16_tflops,
        "fp8": accelerator.fp8_tflops,
        "fp4": accelerator.fp4_tflops,
        "int8": accelerator.int8_tops,
    }[computed]
    return None if tera is None else tera * 1e12


def is_native(accelerator: Accelerator, computed: str) -> bool:
    """The chip has matrix (for fp32: any) units for the format."""
    if computed == "fp32":
        return accelerator.fp32_tflops is not None
    return computed in accelerator.native_formats


def serving_arithmetic(
    shape: ModelShape, accelerator: Accelerator, precision: str | None, facts: SizingFacts
) -> Arithmetic | Shortfall:
    """How the chip serves the model in the format asked for, else in the format it was published in."""
    wanted, assumptions = precision or shape.checkpoint_format, []
    if precision is None and wanted == "fp32":
        wanted = "bf16"
        assumptions.append("published in fp32; served in 16 bits, as serving engines do")
    stored = facts.formats[wanted]
    is_refused = shape.overflows_fp16 and wanted != "fp16"

    def is_usable(computed: str) -> bool:
        return is_native(accelerator, computed) and not (is_refused and computed == "fp16")

    for computed in stored.compute_formats:
        if is_usable(computed):
            is_dequantised = computed != wanted and stored.quantised_part != "all" and computed in ("bf16", "fp16")
            if is_dequantised:
                assumptions.append(f"{accelerator.name} stores {wanted} and computes in {computed}")
            return Arithmetic(stored, computed, peak_flops(accelerator, computed), is_dequantised, tuple(assumptions))
    for computed in stored.cast_formats if precision is None else ():
        if is_usable(computed):
            assumptions.append(f"{accelerator.name} has no {wanted} units: the weights run as {computed}")
            return Arithmetic(
                facts.formats[computed], computed, peak_flops(accelerator, computed), False, tuple(assumptions)
            )
    native = ", ".join(sorted(accelerator.native_formats))
    return Shortfall(
        "precision", 1, 0, "native format",
        f"{accelerator.name} has no arithmetic for {wanted} weights (it computes in {native})"
        + (f"; {shape.name} overflows in fp16" if is_refused else ""),
        f"use a precision that it computes in ({native}), or another accelerator",
    )  # fmt: skip


def training_arithmetic(accelerator: Accelerator, precision: str | None, facts: SizingFacts) -> Arithmetic | Shortfall:
    """How the chip trains: 16 bits mixed precision, unless another format is asked for. Refuses what is not native."""
    if precision is not None and precision not in TRAINING_FORMATS:
        return Shortfall(
            "precision", 1, 0, "training format",
            f"weights in {precision} cannot be trained",
            "train in bf16, or use `method: qlora` for a quantised base",
        )  # fmt: skip
    wanted = precision or ("bf16" if is_native(accelerator, "bf16") else "fp16")
    if not is_native(accelerator, wanted):
        native = ", ".join(sorted(accelerator.native_formats & TRAINING_FORMATS)) or "no training format"
        return Shortfall(
            "precision", 1, 0, "native format",
            f"{accelerator.name} has no native {wanted} arithmetic ({native})",
            f"train in {native}, or on another accelerator",
        )  # fmt: skip
    # fp8 training keeps 16-bit weights: only the matrix products run in fp8, so the peak to compare with stays 16 bits
    computed = "bf16" if wanted == "fp8" else wanted
    notes = () if precision or wanted == "bf16" else (f"{accelerator.name} has no bf16: fp16 with loss scaling",)
    return Arithmetic(facts.formats[wanted], computed, peak_flops(accelerator, computed), False, notes)


def weight_bytes(shape: ModelShape, stored: NumberFormat) -> float:
    """Bytes of all resident weights in a storage format, unquantised parts in 16 bits.

    Embeddings, output head and what runs beside the counted part stay in 16 bits in every published quantisation.
    """
    return rest_bytes(shape, stored) + expert_bytes(shape, stored)


def expert_bytes(shape: ModelShape, stored: NumberFormat) -> float:
    """Bytes of the routed experts."""
    return shape.expert_parameters * stored.bytes_per_weight


def rest_bytes(shape: ModelShape, stored: NumberFormat) -> float:
    """Bytes of everything but the routed experts."""
    extra = shape.extra_parameters * SIXTEEN_BITS
    if stored.quantised_part == "all":
        return shape.dense_parameters * stored.bytes_per_weight + extra
    if stored.quantised_part == "experts" and shape.expert_parameters:
        return shape.dense_parameters * SIXTEEN_BITS + extra
    embeddings = min(shape.embedding_parameters, shape.dense_parameters)
    return (shape.dense_parameters - embeddings) * stored.bytes_per_weight + embeddings * SIXTEEN_BITS + extra


def checkpoint_bytes(parameters: float, precision: str, facts: SizingFacts) -> float:
    """Nominal size of a checkpoint, as model cards quote it: every parameter in the same format."""
    return parameters * round(facts.formats[precision].bytes_per_weight * 2) / 2

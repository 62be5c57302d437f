"""What a descriptor may say that this version does not compile: said so, never silently left out."""

from collections.abc import Iterator

from infragen.decide.need import Need
from infragen.descriptor.model import Workload
from infragen.diagnostics import Diagnostics, declare

NOT_COMPILED = declare(
    "N005",
    "not-compiled",
    """Refuse what the descriptor's format knows and this version does not compile yet.

    Why: a field that is read and ignored is a promise that is broken without a word.
    Example: `capacity: {wait_for: 6h}` limits how long a queued request waits; no field of the service does that.
    """,
    source="design decision",
)


def _unsupported(workload: Workload) -> Iterator[tuple[str, str, str]]:
    """Path, what is not done, and the way around."""
    capacity = workload.capacity
    if capacity.wait_for:
        yield (
            "capacity.wait_for",
            "a request of a group has no limit to its waiting: it waits until it is met or cancelled",
            "leave it out; `gcloud compute instance-groups managed resize-requests cancel` ends the waiting",
        )


def check(need: Need, diags: Diagnostics) -> None:
    """Errors for every such field that is set."""
    for path, text, help in _unsupported(need.workload):
        name = path.rpartition(".")[2]
        diags.add(NOT_COMPILED.error(f"`{name}` is not compiled yet", need.workload.at(path), text, help))

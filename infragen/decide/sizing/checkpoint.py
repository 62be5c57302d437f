"""Saving the state of a run: size, stall, interval and rate.

Takes sizes in bytes, times in seconds. Source: Young, CACM 17(9) 1974; Daly, FGCS 22(3) 2006; failure rate of the
Llama 3 405B run (arXiv 2407.21783: 419 unexpected interruptions in 54 days on 16,384 accelerators).
"""

import math

from msgspec import Struct

from infragen.units import GIB, HOUR_S

ACCELERATOR_MTBF_S = 50_000 * HOUR_S  # accelerator-hours per unexpected interruption
SPOT_VM_MTBF_S = 36 * HOUR_S  # between preemptions of one Spot VM; preemption rates are not published
COPY_BYTES_S = 10e9  # device to host, per accelerator
MIN_STALL_S = 2.0
MIN_INTERVAL_S, MAX_INTERVAL_S = 300.0, 4 * 3600.0
WRITE_SAFETY = 2.0  # a checkpoint is on disk after half the interval


def young_interval_s(stall_s: float, mtbf_s: float) -> float:
    """Interval that loses the least time, first order.

    >>> round(young_interval_s(30, 3.1 * 3600))
    818
    """
    return math.sqrt(2 * stall_s * mtbf_s)


def daly_interval_s(stall_s: float, mtbf_s: float) -> float:
    """Interval that loses the least time, Daly's higher order; the MTBF itself where checkpoints cost more than it."""
    if stall_s >= 2 * mtbf_s:
        return mtbf_s
    ratio = stall_s / (2 * mtbf_s)
    return young_interval_s(stall_s, mtbf_s) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - stall_s


def lost_share(stall_s: float, interval_s: float, mtbf_s: float, restart_s: float = 0.0) -> float:
    """Share of the time that checkpoints, repeated work and restarts take."""
    return stall_s / interval_s + interval_s / (2 * mtbf_s) + restart_s / mtbf_s


def job_mtbf_s(accelerators: int, vms: int, *, is_spot: bool) -> float:
    """Time between interruptions of a job that needs all its machines."""
    hardware = ACCELERATOR_MTBF_S / accelerators
    return min(hardware, SPOT_VM_MTBF_S / vms) if is_spot else hardware


class Saving(Struct, frozen=True):
    """How a run saves its state."""

    size_bytes: float
    interval_s: float
    stall_s: float  # per checkpoint: the copy to the host, while the write goes on behind
    write_bytes_s: float
    mtbf_s: float

    @property
    def size_gib(self) -> float:
        """Size of one checkpoint."""
        return float(self.size_bytes / GIB)


def saving(
    size_bytes: float, accelerators: int, vms: int, *, is_spot: bool, every_s: float | None, run_s: float | None
) -> Saving:
    """The interval asked for, else Daly's, and the aggregate write rate that keeps up with it."""
    mtbf = job_mtbf_s(accelerators, vms, is_spot=is_spot)
    stall = max(MIN_STALL_S, size_bytes / (accelerators * COPY_BYTES_S))
    interval = every_s
    if interval is None:
        interval = min(MAX_INTERVAL_S, max(MIN_INTERVAL_S, daly_interval_s(stall, mtbf)))
        if run_s is not None:
            interval = max(60.0, min(interval, run_s / 4))
    return Saving(size_bytes, interval, stall, WRITE_SAFETY * size_bytes / interval, mtbf)

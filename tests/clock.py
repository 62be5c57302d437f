"""Time as a ratio: the work of this process against a loop of plain Python, so that a slow or busy machine changes nothing."""

import time
from collections.abc import Callable


def loops(work: Callable[[], object], repeats: int = 5) -> float:
    """How many loops of 20,000 additions (about 1 ms on a computer of 2024) the work takes: processor time, least of several runs."""
    return _least(work, repeats) / _least(_loop, 7)


def _loop() -> None:
    total = 0.0
    for number in range(20_000):
        total += number * 0.5


def _least(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)

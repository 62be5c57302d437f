"""Speed as ratios in one run: the machine may be shared and noisy, its neighbours are the same for both sides of a ratio.

What sizing one descriptor takes is in milliseconds, the least of many runs.

    make bench        (or python tools/bench.py [--runs 7])

Prints user plus system time (for the batch, the time that is waited), median over the runs, and what is to be reached. Exit code 1 if a target is missed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infragen import decide, descriptor, emit, lower, verify
from infragen.decide import candidates, sizing_of
from infragen.decide.need import Need
from infragen.descriptor.source import File, Source, read
from infragen.diagnostics import Diagnostics
from infragen.facts.load import Catalog

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "01-serve-llama-8b" / "workload.yaml"
BATCH = 200
COLD_TARGET = 3.0  # one cold plan, in bare imports
BATCH_TARGET = 1 / 20  # one descriptor of a batch, in cold plans
MEMORY_TARGET_MB = 150
SIZING_TARGET_MS = 10.0  # one descriptor over all machines
SIZED = {  # of Llama 3.1 70B; the digits that every run fills anew keep one from remembering the answer of another
    "serve": "task: serve, serve: {input_tokens: 2000, output_tokens: 500, requests_per_second: 4.RUN, tpot_ms: 50}",
    "pretrain": "task: pretrain, train: {tokens: 200.RUNe9, deadline: 21d, sequence_length: 8192}",
    "full": "task: finetune, train: {method: full, tokens: 1.RUNe9}",
    "lora": "task: finetune, train: {method: lora, tokens: 1.RUNe9}",
    "lora with a deadline": "task: finetune, train: {method: lora, tokens: 1.RUNe9, deadline: 2d}",
    "qlora": "task: finetune, train: {method: qlora, tokens: 1.RUNe9}",
}


@dataclass(frozen=True)
class Usage:
    seconds: float  # user and system time
    wall_seconds: float  # what a person waits: a batch is shared out to all processors
    peak_mb: float


def measure(*command: str) -> Usage:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command[:4])} … failed with {process.returncode}")
    return Usage(usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, usage.ru_maxrss / 1024)


def median(runs: int, commands: list[tuple[str, ...]]) -> list[Usage]:
    """The commands in turn, so that drift hits all alike; the first round warms the caches and is not counted."""
    rounds = [[measure(*command) for command in commands] for _ in range(runs + 1)][1:]
    return [
        Usage(
            statistics.median(one.seconds for one in column),
            statistics.median(one.wall_seconds for one in column),
            max(one.peak_mb for one in column),
        )
        for column in zip(*rounds, strict=True)
    ]


def batch_of(folder: Path, count: int) -> tuple[str, ...]:
    """Descriptors that differ in name and traffic, so that nothing is compiled twice."""
    text = EXAMPLE.read_text(encoding="utf-8")
    paths = []
    for number in range(count):
        path = folder / f"{number}.yaml"
        rate = 1 + number / count
        changed = text.replace("name: support-chat", f"name: chat-{number}").replace(
            "requests_per_second: 2", f"requests_per_second: {rate}"
        )
        path.write_text(changed, encoding="utf-8")
        paths.append(str(path))
    return tuple(paths)


def stages(runs: int) -> dict[str, float]:
    """Milliseconds of each stage in a warm process."""
    catalog, templates, today = Catalog(), emit.load_templates(None), datetime.now(UTC)
    totals: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = call()
        totals.setdefault(name, []).append((time.perf_counter() - begin) * 1000)
        return result

    def once(path: str) -> None:
        diags = Diagnostics()
        source = timed("read", lambda: read(path, diags))
        workload = timed("load", lambda: descriptor.load(source, diags))
        plan = timed("decide", lambda: decide.run(workload, catalog, today, diags))
        stack = timed("lower", lambda: lower.run(plan))
        files = timed("emit", lambda: emit.run(stack, templates, diags))
        timed("verify", lambda: verify.run(files, diags, catalog.is_accelerator_machine))

    with tempfile.TemporaryDirectory() as folder:
        for path in batch_of(Path(folder), runs + 3):
            once(path)
    return {name: statistics.median(times[3:]) for name, times in totals.items()}


def sizing(runs: int) -> dict[str, float]:
    """Milliseconds that sizing one descriptor over all machines takes in a warm process, least of the runs."""
    catalog, today = Catalog(), datetime.now(UTC)
    least = dict.fromkeys(SIZED, float("inf"))
    for run in range(runs):
        for name, task in SIZED.items():
            diags = Diagnostics()
            text = f"{{version: 1, name: sized, model: {{name: Llama-3.1-70B}}, {task.replace('RUN', f'{run:02}')}}}"
            workload = descriptor.load(Source(File("sized.yaml", text.encode())), diags)
            need = Need(workload, catalog, sizing_of.shape(workload, catalog, diags), today)
            begin = time.perf_counter()
            candidates.sized(need)
            least[name] = min(least[name], (time.perf_counter() - begin) * 1000)
    return least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    python, infragen = sys.executable, ("-m", "infragen")
    with tempfile.TemporaryDirectory() as folder:
        many = batch_of(Path(folder), BATCH)
        nothing, bare, cold = median(
            runs,
            [
                (python, "-c", "pass"),
                (python, "-c", "import click, pydantic, jinja2, yaml"),
                (python, *infragen, "plan", str(EXAMPLE), "--format", "json"),
            ],
        )
        batch = measure(python, *infragen, "plan", *many, "--format", "json")
    each = (batch.wall_seconds - cold.wall_seconds) / (BATCH - 1)
    sized = sizing(50)
    results = [
        ("one cold plan / bare imports", cold.seconds / bare.seconds, COLD_TARGET),
        ("a descriptor in a batch / one cold plan, as waited for", each / cold.wall_seconds, BATCH_TARGET),
        ("sizing over all machines, slowest task, ms", max(sized.values()), SIZING_TARGET_MS),
        ("peak memory of the batch, MB", max(cold.peak_mb, batch.peak_mb), MEMORY_TARGET_MB),
    ]
    print(
        f"python -c pass {nothing.seconds:.3f} s, bare imports {bare.seconds:.3f} s, cold plan {cold.seconds:.3f} s, batch of {BATCH} {batch.seconds:.2f} s (waited {batch.wall_seconds:.2f} s)"
    )
    print(f"one cold plan / python -c pass: {cold.seconds / nothing.seconds:.1f}")
    for name, value, target in results:
        print(f"{name}: {value:.3g} (at most {target:.3g}) {'ok' if value <= target else 'MISSED'}")
    print("sizing over all machines: " + ", ".join(f"{name} {value:.1f} ms" for name, value in sized.items()))
    shares = stages(20)
    total = sum(shares.values())
    print(
        "stages, warm: " + ", ".join(f"{name} {value:.1f} ms ({value / total:.0%})" for name, value in shares.items())
    )
    sys.exit(any(value > target for _, value, target in results))


if __name__ == "__main__":
    main()

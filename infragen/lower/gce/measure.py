"""What is measured on the machines, and how it is asked for."""

import re

from msgspec import Struct

from infragen.lower.gce.context import Context
from infragen.lower.knowledge import know

REAL_DISKS = ('state="used"', 'device!~"/dev/loop.*"')  # read-only images behind loop devices are always full


class Engine(Struct, frozen=True):
    """The metrics of a serving engine, by their names in a query."""

    path: str  # that it serves them under, on its port
    tokens: str  # counter of tokens generated
    first_token: str  # histogram of seconds
    next_token: tuple[str, ...]  # histograms of seconds, newest name first
    waiting: str  # requests that wait


def engine(context: Context) -> Engine | None:
    """The engine that the container is known to run; None for any other program."""
    program = context.plan.program
    if context.plan.task != "serve" or program is None or program.container is None:
        return None
    for known in know("engines"):
        if re.search(known["container"], program.container):
            fields = {key: value for key, value in known.items() if key != "container"}
            return Engine(**fields | {"next_token": tuple(known["next_token"])})
    return None


def scraped(context: Context) -> str | None:
    """Port, path and job under which the agent reads the program's metrics; None where it has none that are known."""
    found = engine(context)
    path = context.plan.observe.metrics_path or (found.path if found else None)
    return f"{context.plan.port} {path} {context.plan.name}" if path else None


def machine_pattern(context: Context) -> str:
    """A regular expression of the names of the group's machines."""
    return f"{context.name(kind='base_instance_name')}-[a-z0-9]{{4}}"


def promql(metric: str) -> str:
    """A metric's name in a query.

    >>> promql("agent.googleapis.com/gpu/utilization")
    'agent_googleapis_com:gpu_utilization'
    """
    domain, _, path = metric.partition("/")
    return f"{re.sub('[^A-Za-z0-9_]', '_', domain)}:{re.sub('[^A-Za-z0-9_:]', '_', path)}"


def measured(context: Context, metric: str, *more: str) -> str:
    """What the agent on this workload's machines measures, as a query."""
    labels = ['monitored_resource="gce_instance"', f'metadata_system_name=~"{machine_pattern(context)}"', *more]
    return f"{promql(know('metrics', metric))}{{{','.join(labels)}}}"

"""The dashboard: what the plan expects in words, and lines across charts of what is measured."""

from collections.abc import Iterator, Sequence

from infragen import units
from infragen.lower.gce.context import Context
from infragen.lower.gce.measure import REAL_DISKS, engine, measured, promql
from infragen.lower.hcl import Value
from infragen.lower.knowledge import know

COLUMNS = 12
HEIGHT = 4
GIB = 1024**3
STEPS = 64  # of a unit: the API keeps 32 bits of a threshold, and what these cannot hold would differ in every plan
RATE = "5m"


def content(context: Context, events: Sequence[tuple[str, str]]) -> dict[str, Value]:
    """The dashboard as the API takes it: two charts a row below the words. ``events``: name, kind of resource."""
    widgets = [_text(context), *_charts(context, events)]
    tiles: list[Value] = []
    for index, widget in enumerate(widgets):
        width = COLUMNS if index == 0 else COLUMNS // 2
        column = 0 if index == 0 else (index - 1) % 2 * width
        row = 0 if index == 0 else HEIGHT * (1 + (index - 1) // 2)
        place = {name: at for name, at in (("xPos", column), ("yPos", row)) if at}  # the API keeps no zeros
        tiles.append({**place, "width": width, "height": HEIGHT, "widget": widget})
    return {"displayName": context.plan.name, "mosaicLayout": {"columns": COLUMNS, "tiles": tiles}}


def _text(context: Context) -> dict[str, Value]:
    lines = [f"- {one}" for one in expectations(context)]
    words = "\n".join(["What the plan expects; the lines in the charts are the same figures.", "", *lines])
    return {"title": "Plan", "text": {"content": words, "format": "MARKDOWN"}}


def expectations(context: Context) -> Iterator[str]:
    """The figures of the plan that can be held against what is measured."""
    machine, estimate = context.machine, context.plan.estimate
    yield f"{machine.nodes} × {machine.type} at peak"
    if estimate.tokens_per_second:
        rate = estimate.tokens_per_second
        yield f"{rate.low:,.0f} to {rate.high:,.0f} tokens/s, expected {rate.expected:,.0f}"
    for name, figure in (("first token", estimate.ttft_ms), ("each further token", estimate.tpot_ms)):
        if figure:
            yield f"{name} after {figure.low:,.0f} to {figure.high:,.0f} ms, expected {figure.expected:,.0f} ms"
    if estimate.train_hours:
        hours = estimate.train_hours
        yield f"{hours.low:,.1f} to {hours.high:,.1f} h of training, expected {hours.expected:,.1f} h"
    if estimate.memory:
        yield f"{estimate.memory.total:.1f} of {estimate.memory.usable:.1f} GiB of device memory"
    if estimate.costs.total is not None:
        yield f"{units.usd(estimate.costs.total)} per hour at list prices of {estimate.costs.as_of}"


def _charts(context: Context, events: Sequence[tuple[str, str]]) -> Iterator[dict[str, Value]]:
    plan, estimate, by = context.plan, context.plan.estimate, "by (metadata_system_name)"
    size = f'{promql(know("metrics", "group_size"))}{{monitored_resource="instance_group",instance_group_name="{context.name()}"}}'
    yield _chart("Machines", f"sum({size})", float(context.machine.nodes))
    found = engine(context)
    if found:
        job = f'{{job="{plan.name}"}}'
        expected = estimate.tokens_per_second.expected if estimate.tokens_per_second else None
        yield _chart("Tokens per second", f"sum(rate({found.tokens}{job}[{RATE}]))", expected)
        first = f"1000 * histogram_quantile(0.95, sum by (le) (rate({found.first_token}{job}[{RATE}])))"
        yield _chart("First token, ms, 95th percentile", first, estimate.ttft_ms.expected if estimate.ttft_ms else None)
        gaps = " or ".join(f"sum by (le) (rate({name}{job}[{RATE}]))" for name in found.next_token)
        further = f"1000 * histogram_quantile(0.95, {gaps})"
        yield _chart(
            "Further tokens, ms, 95th percentile", further, estimate.tpot_ms.expected if estimate.tpot_ms else None
        )
        yield _chart("Requests waiting", f"sum({found.waiting}{job})", None)
    if plan.serving and plan.serving.expose != "none":
        kind = plan.serving.expose
        series = f'{promql(know("metrics", f"{kind}_requests"))}{{monitored_resource="{know("metrics", f"{kind}_door")}",url_map_name="{context.name()}"}}'
        limit = context.group.target if context.group.signal == "requests" else None
        yield _chart(
            "Requests per second", f"sum(rate({series}[{RATE}]))", limit * context.machine.nodes if limit else None
        )
    if context.has_gpus:
        yield _chart("Accelerator utilisation, %", f"avg {by} ({measured(context, 'accelerator_utilisation')})", None)
        used = measured(context, "accelerator_memory", 'memory_state="used"')
        memory = f"max {by} ({used}) / {GIB}"
        yield _chart("Device memory, GiB, fullest device", memory, estimate.memory.total if estimate.memory else None)
    else:
        yield _chart("CPU utilisation, %", f"100 * avg {by} ({measured(context, 'cpu')})", None)
    disk = measured(context, "disk", *REAL_DISKS)
    for name, resource in events:
        counted = f'{promql(f"logging.googleapis.com/user/{plan.name}/{name}")}{{monitored_resource="{resource}"}}'
        yield _chart(f"Events in 10 min: {name}", f"sum(increase({counted}[10m]))", None)
    yield _chart("Disks, % used, fullest", f"max {by} ({disk})", None)


def _chart(title: str, query: str, expected: float | None) -> dict[str, Value]:
    chart: dict[str, Value] = {
        "dataSets": [{"plotType": "LINE", "targetAxis": "Y1", "timeSeriesQuery": {"prometheusQuery": query}}],
    }
    if expected:
        value = round(float(f"{expected:.4g}") * STEPS) / STEPS
        line = int(value) if value.is_integer() else value
        if line:
            chart["thresholds"] = [{"label": "plan", "value": line, "targetAxis": "Y1"}]
    return {"title": title, "xyChart": chart}

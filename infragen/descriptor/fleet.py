"""Checks of what a descriptor says about the fleet and its program: signals, schedules, state, secrets."""

import re
from collections.abc import Iterator

from infragen.descriptor.checks import Finding, check
from infragen.descriptor.model import Workload
from infragen.descriptor.rules import FORMAT
from infragen.diagnostics import Severity
from infragen.units import duration

_SCHEDULES = "https://docs.cloud.google.com/compute/docs/autoscaler/scaling-schedules"
_METRICS = "https://docs.cloud.google.com/compute/docs/autoscaler/scaling-cloud-monitoring-metrics"
_SHORTEST_SCHEDULE_S = 300
_WINDOW_S = (60, 3600)
_DAY_S = 86_400
_MOST_DAYS = 3650
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z]+(/[A-Z][A-Za-z0-9_+-]+){1,2}")
_CONDITION = re.compile(r"(metric|resource)\.(type|labels?\.[A-Za-z_][A-Za-z0-9_]*) *= *\"?[^\"=<>!]+\"?")
_SECRET = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|hf_[A-Za-z0-9]{20}|gh[pousr]_[A-Za-z0-9]{30}|AIza[\w-]{30}|ya29\.[\w-]{20}|AKIA[A-Z0-9]{16}|sk-[A-Za-z0-9_-]{20}"
)  # how well-known kinds of credentials start
_SECRET_NAME = re.compile(r"(^|_)(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)$")


@check("D070", "unfed-signal", _METRICS)
def unfed_signal(w: Workload) -> Iterator[Finding]:
    """A signal that the group is scaled on has a source and a target, and a source has its signal.

    Why: an autoscaler without a metric never moves, and a metric that no signal reads is obeyed by nobody.
    Example: `signal: queue` without `queue`; `metric: custom.googleapis.com/waiting` with `signal: requests`.
    """
    scale = w.group.autoscale
    if scale is None:
        return
    path, signal = "group.autoscale", scale.signal
    if signal == "queue" and (scale.queue is None) == (scale.metric is None):
        label = "both are given" if scale.queue else "neither `queue` nor `metric`"
        help = "name the Pub/Sub subscription in `queue`, or a metric of the whole group in `metric`"
        yield Finding(f"{path}.signal", "the queue is not one", label, help)
    if signal == "metric" and scale.metric is None:
        help = "add `metric: custom.googleapis.com/...`, a metric that every machine writes"
        yield Finding(f"{path}.signal", "the metric is not said", "no `metric` is given", help)
    if signal in ("queue", "metric") and scale.target is None:
        what = "the waiting items that one machine takes on" if signal == "queue" else "the value per machine to hold"
        yield Finding(
            f"{path}.signal", f"`{signal}` has no target", "how much is enough?", f"add `target: ...`, {what}"
        )
    for key, signals in (("queue", ("queue",)), ("metric", ("queue", "metric")), ("filter", ("queue", "metric"))):
        if getattr(scale, key) is not None and signal not in signals:
            choices = " or ".join(f"`signal: {one}`" for one in signals)
            yield Finding(f"{path}.{key}", f"`{key}` is read by no signal", f"for {choices}", f"write {choices}")
    if scale.filter is not None and not all(_CONDITION.fullmatch(one) for one in scale.filter.split(" AND ")):
        help = 'for example `resource.type = "gce_instance" AND metric.labels.state = "waiting"`'
        yield Finding(f"{path}.filter", "the autoscaler cannot read this filter", "only `=`, joined by AND", help)


def _in_range(text: str, low: int, high: int) -> bool:
    """Whether a part of a crontab field is a number, a range or a step within bounds."""
    match = re.fullmatch(r"(\*|\d{1,2}(-\d{1,2})?)(/\d{1,2})?", text)
    if not match:
        return False
    numbers = [int(one) for one in re.findall(r"\d+", match[1])]
    return all(low <= one <= high for one in numbers) and numbers == sorted(numbers)


@check("D071", "unusable-schedule", _SCHEDULES)
def unusable_schedule(w: Workload) -> Iterator[Finding]:
    """A schedule of the autoscaler has a crontab time, a length of 5 minutes or more, and a number within its bounds.

    Why: the service refuses any other while applying; a number above the largest size is never reached.
    Example: `at: 8am`; `lasts: 1m`; `machines: 20` with `max: 8`.
    """
    scale = w.group.autoscale
    if scale is None:
        return
    names: set[str] = set()
    for index, one in enumerate(scale.schedules):
        path = f"group.autoscale.schedules.{index}"
        parts = one.at.split()
        fits = len(parts) == len(_FIELDS) and all(
            _in_range(part, low, high)
            for text, (_, low, high) in zip(parts, _FIELDS, strict=True)
            for part in text.split(",")
        )
        if not fits:
            help = "minute, hour, day, month and weekday in numbers, for example `0 8 * * 1-5`"
            yield Finding(f"{path}.at", f"`{one.at}` is no time of a crontab", "five fields", help)
        if one.lasts < _SHORTEST_SCHEDULE_S:
            yield Finding(
                f"{path}.lasts", f"{duration(one.lasts)} is too short", "at least 5 min", "write `5m` or more"
            )
        if scale.max is not None and one.machines > scale.max:
            help = f"lower it to {scale.max}, or raise `max`"
            yield Finding(
                f"{path}.machines", f"{one.machines} machines are never reached", f"`max` is {scale.max}", help
            )
        if not _ZONE.fullmatch(one.time_zone):
            help = "for example `Europe/Berlin`"
            yield Finding(f"{path}.time_zone", f"`{one.time_zone}` is no time zone", "a name of the tz database", help)
        if one.name in names:
            yield Finding(f"{path}.name", f"there are two schedules `{one.name}`", "", "give one another name")
        names.add(one.name)


@check("D072", "scale-in-window", _SCHEDULES)
def scale_in_window(w: Workload) -> Iterator[Finding]:
    """The time that scaling in looks back on is 1 minute to 1 hour.

    Why: the service refuses any other while applying.
    Example: `scale_in: {within: 2h}`.
    """
    window = w.group.autoscale.scale_in if w.group.autoscale else None
    if window and not _WINDOW_S[0] <= window.within <= _WINDOW_S[1]:
        nearest = "1m" if window.within < _WINDOW_S[0] else "1h"
        label, help = "from 1 min to 1 h", f"the nearest valid value is `{nearest}`"
        yield Finding("group.autoscale.scale_in.within", f"a window of {duration(window.within)}", label, help)


@check("D073", "secret-in-descriptor", "https://docs.cloud.google.com/secret-manager/docs/best-practices")
def secret_in_descriptor(w: Workload) -> Iterator[Finding]:
    """The environment holds no secrets, only the names of secrets.

    Why: what stands here stands in version control, in the Terraform state and in the metadata that every process of the
    machine can read.
    Example: `env: {HF_TOKEN: hf_...}` instead of `env: {HF_TOKEN: "secret:hf-token"}`.
    """
    for name, value in (w.run.env or {}).items() if w.run else ():
        if value.startswith("secret:") or not value:
            continue
        help = f"put it into Secret Manager, and write `secret:{name.lower().replace('_', '-')}`"
        if _SECRET.search(value):
            yield Finding(f"run.env.{name}", f"`{name}` is a secret written out", "readable for many", help)
        elif _SECRET_NAME.search(name) and not value.startswith("/"):
            message = f"`{name}` sounds like a secret written out"
            yield Finding(f"run.env.{name}", message, "readable for many", help, Severity.WARNING)
    for index, word in enumerate((w.run.command or []) if w.run else []):
        if _SECRET.search(word):
            help = "pass it as a variable: `env: {NAME: secret:...}`"
            yield Finding(f"run.command.{index}", "the command holds a secret", "readable for many", help)


@check("D074", "log-retention", "https://docs.cloud.google.com/logging/docs/buckets#custom-retention")
def log_retention(w: Workload) -> Iterator[Finding]:
    """Logs are kept for whole days, 1 to 3650 of them.

    Why: the service counts retention in days and refuses any other number while applying.
    Example: `log_retention: 12h`.
    """
    kept = w.observe.log_retention
    if kept is not None and (kept % _DAY_S or not 1 <= kept / _DAY_S <= _MOST_DAYS):
        message, label = f"logs cannot be kept for {duration(kept)}", "1 to 3650 whole days"
        yield Finding("observe.log_retention", message, label, "for example `90d`")


@check("D075", "unread-metrics", FORMAT)
def unread_metrics(w: Workload) -> Iterator[Finding]:
    """Metrics of a program are read where a program serves them.

    Why: a path without a program, or without a port that it listens on, is read by nobody.
    Example: `observe: {metrics: /metrics}` without `run`.
    """
    if w.observe.metrics is not None and (w.run is None or not (w.run.container or w.run.command)):
        yield Finding("observe.metrics", "`metrics` belongs to no program", "nothing is run", "add `run`, or remove it")


@check("D076", "domain-without-door", FORMAT)
def domain_without_door(w: Workload) -> Iterator[Finding]:
    """A domain is for a service that the internet reaches.

    Why: the certificate is issued for an external load balancer; without one nobody would obey the name.
    Example: `serve: {expose: internal, domain: chat.example.com}`.
    """
    if w.serve and w.serve.domain is not None and w.serve.expose != "external":
        help = "write `expose: external`, or remove `domain`"
        yield Finding("serve.domain", "`domain` belongs to an external service", f"`{w.serve.expose}`", help)

"""The addresses of a created network: which part of its range each subnet has, and whether all of them fit."""

import ipaddress

from infragen.diagnostics import Diagnostic, declare
from infragen.lower.gce.context import Context
from infragen.lower.knowledge import know

RANGE_TOO_SMALL = declare(
    "N101",
    "range-too-small",
    """The address range of the network must hold a subnet for every machine, proxy and peering.

    Why: Terraform accepts overlapping or tiny subnets in its plan, and the API refuses them at apply, half-way through.
    Example: 300 machines with their own data networks do not fit `10.20.0.0/16`, whose data subnets hold 252 each.
    """,
    source="https://docs.cloud.google.com/vpc/docs/subnets#valid-ranges",
)


def slot(network_range: str, kind: str, index: int = 0) -> ipaddress.IPv4Network:
    """The subnet that a kind of subnet has in the range. Slots are fixed, so that adding one never moves another.

    Raises ValueError where the range is too small to have it.

    >>> str(slot("10.20.0.0/16", "machines")), str(slot("10.20.0.0/16", "data", 1))
    ('10.20.0.0/20', '10.20.129.0/24')
    """
    whole = ipaddress.IPv4Network(network_range)
    place = know("subnet_slots", kind)
    prefix = whole.prefixlen + place["bits"]
    if prefix > know("subnet_longest_prefix", kind):
        raise ValueError(f"{network_range} is too small for a {kind} subnet")
    size = 1 << (32 - prefix)
    return ipaddress.IPv4Network((int(whole.network_address) + size * (place["first"] + index), prefix))


def check(context: Context) -> list[Diagnostic]:
    """What of the network cannot be lowered."""
    wanted = [kind for kind, count in _slots(context).items() if count]
    bits = {kind: know("subnet_slots", kind)["bits"] for kind in wanted}
    longest = min((know("subnet_longest_prefix", kind) - bits[kind] for kind in wanted), default=32)
    machines = context.group.max_size + context.group.max_surge + know("subnet_reserved_addresses")
    holds_machines = {kind for kind in wanted if kind not in ("proxy", "peering")}
    longest = min([longest, *(32 - (machines - 1).bit_length() - bits[kind] for kind in holds_machines)])
    given = ipaddress.IPv4Network(context.network.range, strict=False)
    if given.prefixlen <= longest:
        return []
    message = f"`network.range` {context.network.range} is too small"
    text = f"{machines} addresses per subnet and subnets for {', '.join(sorted(wanted))}"
    return [RANGE_TOO_SMALL.error(message, None, text, f"give a range of at least /{longest}")]


def _slots(context: Context) -> dict[str, int]:
    """How many subnets of each kind there are."""
    fabric = context.machine.fabric
    created = context.network.creates
    return {
        "machines": int(created),
        "proxy": int(created and has_proxy_subnet(context)),
        "peering": int(created and bool(context.kinds & {"parallel", "scratch"})),
        "host": fabric.host_nics - 1,
        "data": 0 if fabric.network_profile else fabric.data_vpcs,
        "rdma": fabric.data_nics if fabric.network_profile and fabric.has_subnets else 0,
    }


def has_proxy_subnet(context: Context) -> bool:
    """Whether requests come through proxies that live in the VPC."""
    return context.plan.serving is not None and context.plan.serving.expose == "internal"

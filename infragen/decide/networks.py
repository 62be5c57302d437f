"""The network of the machines, and how requests reach them."""

import math

from infragen.decide.fit import Fit
from infragen.decide.model import Decision, NetworkChoice, Reason, ServingChoice, StorageChoice
from infragen.decide.need import Need
from infragen.diagnostics import Diagnostics, declare

NETWORK = declare(
    "N004",
    "own-network",
    """Make a network of its own unless one is named.

    Why: a VPC of its own has no neighbours to open ports to and no ranges to collide with.
    Example: without `network.network` the stack holds a VPC, its subnets, NAT and firewall rules.
    """,
    source="https://docs.cloud.google.com/vpc/docs/vpc",
)
RANGE = declare(
    "N008",
    "range-beside-a-network",
    """Name the addresses of the networks that are made beside one that exists, and no others.

    Why: a machine's interfaces must not overlap, and the addresses of a network that exists are not known here; a range of
    which nothing is made would be obeyed by nobody.
    Example: `network: {network: main-vpc}` for a machine with four more interfaces is a warning until `range` is given; for a
    machine with one interface `range` is an error.
    """,
    source="https://docs.cloud.google.com/vpc/docs/multiple-interfaces-concepts",
)
NO_WAY_OUT = declare(
    "N012",
    "no-way-out",
    """Say when machines without a way to the internet need something from there.

    Why: without NAT a machine reaches Google's own services alone: packages, agents and containers from elsewhere never come,
    and the machine waits for them for good.
    Example: `network: {nat: false}` with a container of a public registry is a warning; with an image of one's own and a
    container in Artifact Registry it is none.
    """,
    source="https://docs.cloud.google.com/vpc/docs/private-google-access",
)
DEFAULT_RANGE = "10.20.0.0/16"
WIDE_RANGE = "10.16.0.0/12"  # where a group has more machines than those of the default have addresses
FILE_SYSTEM_MTU = 8896  # what the vendor advises for file systems over the network
ADDRESSES = 240  # of the smallest subnets that a part of the default is cut into
DRAIN_S = 60
LONGEST_ANSWER_FACTOR = 4  # a long answer may take this many times the typical one


def serving(need: Need, fit: Fit) -> ServingChoice | None:
    """How requests reach the machines; None where there are none."""
    workload = need.workload
    if workload.task != "serve" or workload.serve is None:
        return None
    port, health = (workload.run.port, workload.run.health) if workload.run else (8000, "/health")
    answer_s = 30.0
    if fit.ttft_ms and fit.tpot_ms and workload.serve.output_tokens:
        answer_s = (fit.ttft_ms.high + workload.serve.output_tokens * fit.tpot_ms.high) / 1000
    timeout = 60 * math.ceil(LONGEST_ANSWER_FACTOR * answer_s / 60)
    drain = min(3600, max(DRAIN_S, timeout))
    return ServingChoice(workload.serve.expose, port, health, timeout, drain, workload.serve.domain)


def network(
    need: Need, fit: Fit, stores: tuple[Decision[StorageChoice], ...], largest: int, diags: Diagnostics
) -> Decision[NetworkChoice]:
    """The network: one of its own, or the one that is named."""
    asked = need.workload.network
    creates = creates_one(need)
    over_network = any(one.choice.service.is_writable_shared and one.choice.service.scope == "zonal" for one in stores)
    mtu = FILE_SYSTEM_MTU if over_network and not fit.machine.fabric.data_nics else fit.machine.fabric.mtu
    choice = NetworkChoice(
        creates=creates,
        range=addresses(need, largest),
        nat=asked.nat,
        network=asked.network,
        subnetwork=asked.subnetwork,
        host_project=asked.host_project,
        mtu=mtu,
    )
    wires = fit.machine.fabric
    makes_more = wires.host_nics > 1 or wires.data_nics > 0
    if not creates and asked.range and not makes_more:
        help = "remove `range`; an existing network has its addresses"
        message = "`range` is given for an existing network"
        diags.add(RANGE.error(message, need.workload.at("network.range"), "nothing is created", help))
    if not creates and not asked.range and makes_more:
        message = f"the further interfaces of `{fit.machine.type}` take addresses of {choice.range}"
        help = f"give `network.range` a range that `{asked.network}` and its peers do not use"
        diags.add(RANGE.warning(message, need.workload.at("network.network"), "must not overlap its subnet", help))
    container = need.workload.run.container if need.workload.run else None
    from_outside = [
        *(["the packages that the public image lacks"] if not need.workload.image.base else []),
        *([f"`{container}`"] if container and ".pkg.dev/" not in container and "gcr.io/" not in container else []),
    ]
    if creates and not asked.nat and from_outside:
        message = f"without NAT the machines cannot fetch {' and '.join(from_outside)}"
        help = "remove `nat: false`, or bring an image with everything and a container in Artifact Registry"
        diags.add(NO_WAY_OUT.warning(message, need.workload.at("network.nat"), "no way to the internet", help))
    why = "a VPC of its own" if creates else f"network.network is `{asked.network}`"
    return Decision(choice, (Reason(NETWORK.id, why),))


def creates_one(need: Need) -> bool:
    """Whether a network is made for the machines."""
    asked = need.workload.network
    return asked.create if asked.create is not None else asked.network is None


def addresses(need: Need, largest: int) -> str:
    """The range of the networks that are created."""
    return need.workload.network.range or (DEFAULT_RANGE if largest < ADDRESSES else WIDE_RANGE)

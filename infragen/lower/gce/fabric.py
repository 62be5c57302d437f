"""Networks for accelerator traffic: one VPC per ordinary interface, or one with a zonal profile for all RDMA interfaces."""

from infragen.lower.gce.addresses import slot
from infragen.lower.gce.context import ACCOUNT_EMAIL, APIS_READY, PROJECT, Context, comment
from infragen.lower.hcl import Expression, join
from infragen.lower.model import FirewallRule, Local, Network, NetworkPart, Subnet

NETWORK, SUBNET, FIREWALL = "google_compute_network", "google_compute_subnetwork", "google_compute_firewall"
ALL_TRAFFIC = (("tcp", ()), ("udp", ()), ("icmp", ()))


def host(context: Context) -> NetworkPart | None:
    """Networks of the ordinary interfaces after the first; None where there is only one."""
    return _group(context, "host", context.machine.fabric.host_nics - 1, "another ordinary interface")


def data(context: Context) -> NetworkPart | None:
    """Networks of accelerator traffic over ordinary interfaces; None for RDMA, and for machines without any."""
    fabric = context.machine.fabric
    return _group(context, "data", 0 if fabric.network_profile else fabric.data_vpcs, fabric.label)


def _group(context: Context, meaning: str, count: int, purpose: str) -> NetworkPart | None:
    """Networks of one kind: a VPC and a subnet per item of a map, and one rule that lets the machines talk in each."""
    if count <= 0:
        return None
    ranges = {f"{meaning}-{index}": str(slot(context.network.range, meaning, index)) for index in range(count)}
    key, prefix = Expression("each.key"), context.name(reserve=len(meaning) + 3)
    local = Local(
        name=f"{meaning}_networks",
        value=ranges,
        because=comment(f"For {purpose}: a machine takes a network of its own per interface."),
    )
    vpc = Network(
        type=NETWORK,
        name=meaning,
        for_each=Expression(f"local.{local.name}"),
        cloud_name=join(prefix, "-", key),
        description=f"Network for {purpose} of {context.plan.name}",
        mtu=context.machine.fabric.mtu,
        depends_on=APIS_READY,
    )
    subnet = Subnet(
        type=SUBNET,
        name=meaning,
        for_each=Expression(f"local.{local.name}"),
        cloud_name=join(prefix, "-", key),
        range=Expression("each.value"),
        network=vpc.get(key=key),
        has_flow_logs=meaning != "data",  # accelerator traffic: terabits that tell nothing and cost much
    )
    rule = FirewallRule(
        type=FIREWALL,
        name=meaning,
        for_each=Expression(f"local.{local.name}"),
        cloud_name=join(prefix, "-", key),
        description="The machines of the workload among themselves",
        network=vpc.get(key=key),
        sources=[Expression("each.value")],  # the networks are not joined: whoever talks here is in this subnet
        allows=ALL_TRAFFIC,
        target=ACCOUNT_EMAIL,
    )
    return NetworkPart(locals=(local,), networks=(vpc,), subnets=(subnet,), rules=(rule,))


def rdma(context: Context) -> NetworkPart | None:
    """One VPC with a zonal network profile, and a subnet per interface where the profile brings none."""
    fabric = context.machine.fabric
    if not fabric.network_profile:
        return None
    profile = join("projects/", PROJECT, "/global/networkProfiles/", context.zone, f"-{fabric.network_profile}")
    vpc = Network(
        type=NETWORK,
        name="rdma",
        because=comment(f"{fabric.label}: the profile is bound to one zone, and so are the machines."),
        cloud_name=context.name("rdma"),
        description=f"Network for {fabric.label} of {context.plan.name}",
        mtu=fabric.mtu,
        profile=profile,
        depends_on=APIS_READY,
    )
    count = range(fabric.data_nics)
    if not fabric.has_subnets:
        keys = Expression("toset([" + ", ".join(f'"rdma-{index}"' for index in count) + "])")
        return NetworkPart(locals=(Local(name="rdma_interfaces", value=keys),), networks=(vpc,))
    ranges = {f"rdma-{index}": str(slot(context.network.range, "rdma", index)) for index in count}
    subnet = Subnet(
        type=SUBNET,
        name="rdma",
        for_each=Expression("local.rdma_subnets"),
        cloud_name=join(context.name(reserve=7), "-", Expression("each.key")),
        range=Expression("each.value"),
        network=vpc.get(),
        has_flow_logs=False,
    )
    return NetworkPart(locals=(Local(name="rdma_subnets", value=ranges),), networks=(vpc,), subnets=(subnet,))

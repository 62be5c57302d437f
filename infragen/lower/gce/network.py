"""The network: VPC, subnets, way out, firewall, networks for accelerator traffic, peering with managed file systems."""

from infragen.lower import names
from infragen.lower.gce import build, fabric
from infragen.lower.gce.addresses import has_proxy_subnet, slot
from infragen.lower.gce.context import ACCOUNT_EMAIL, APIS_READY, PROJECT, REGION, Context, because, comment
from infragen.lower.gce.fabric import ALL_TRAFFIC, FIREWALL, NETWORK, SUBNET
from infragen.lower.hcl import Expression, Value, join, literal
from infragen.lower.knowledge import know
from infragen.lower.model import (
    FirewallRule,
    Interface,
    Nat,
    Network,
    NetworkPart,
    PeeringConnection,
    PeeringRange,
    Router,
    Subnet,
)  # fmt: skip


def _path(context: Context, *parts: str | Expression) -> Expression:
    host = context.network.host_project
    return join("projects/", host if host else PROJECT, "/", *parts)


def network_id(context: Context) -> Expression:
    """The VPC of the machines, created or not."""
    if context.network.creates:
        return Expression(f"{NETWORK}.main.id")
    return _path(context, "global/networks/", context.network.network or "default")


def subnet_id(context: Context) -> Expression:
    """The subnet of the machines, created or not."""
    if context.network.creates:
        return Expression(f"{SUBNET}.main.id")
    return _path(context, "regions/", REGION, "/subnetworks/", context.network.subnetwork or "default")


def subnet_range(context: Context) -> Value:
    """The addresses of the machines."""
    if context.network.creates:
        return [Expression(f"{SUBNET}.main.ip_cidr_range")]
    return Expression("var.subnetwork_ranges")


def range_variables(context: Context) -> tuple[str, ...]:
    """Variables for the ranges of a network that exists: its firewall rules need them, and nothing is looked up."""
    if context.network.creates or context.network.host_project:
        return ()
    used = {literal(rule.sources) for rule in _service_rules(context)}
    return tuple(name for name in ("proxy_ranges", "subnetwork_ranges") if f"var.{name}" in used)


def peering_ready(context: Context) -> tuple[Expression, ...]:
    """What a file system that lives in a peered network waits for."""
    return (Expression("google_service_networking_connection.main"),) if context.network.creates else ()


def interfaces(context: Context) -> tuple[Interface, ...]:
    """The interfaces of a machine in order: management first, then other ordinary ones, then accelerator traffic."""
    wires = context.machine.fabric
    found = [Interface(nic_type=wires.host_nic_type, subnet=subnet_id(context))]
    each = Expression("network_interface.value.id")
    if wires.host_nics > 1:
        found.append(Interface(nic_type=wires.host_nic_type, for_each=Expression(f"{SUBNET}.host"), subnet=each))
    if not wires.data_nics:
        return tuple(found)
    why = comment(f"{wires.label}: one interface per subnet, in the order of their keys")
    if not wires.network_profile:
        found.append(
            Interface(nic_type=wires.nic_type, for_each=Expression(f"{SUBNET}.data"), subnet=each, because=why)
        )
    elif wires.has_subnets:
        found.append(
            Interface(nic_type=wires.nic_type, for_each=Expression(f"{SUBNET}.rdma"), subnet=each, because=why)
        )
    else:
        found.append(
            Interface(
                nic_type=wires.nic_type,
                for_each=Expression("local.rdma_interfaces"),
                network=Expression(f"{NETWORK}.rdma.id"),
                subnet=_default_subnet(),
                stack_type="IPV6_ONLY",
                because=comment(f"{wires.label}: the network profile brings its subnet, none may be created"),
            )
        )
    return tuple(found)


def _default_subnet() -> Expression:
    name = Expression(f"{NETWORK}.rdma.name")
    return join("projects/", PROJECT, "/regions/", REGION, "/subnetworks/default-subnet-1-", name)


def lower(context: Context) -> NetworkPart:
    """Everything of network.tf."""
    own = _own_network(context) if context.network.creates else NetworkPart(rules=_service_rules(context))
    extra = [part for part in (fabric.host(context), fabric.data(context), fabric.rdma(context)) if part]
    return NetworkPart(
        locals=tuple(one for part in extra for one in part.locals),
        networks=own.networks + tuple(one for part in extra for one in part.networks),
        subnets=own.subnets + tuple(one for part in extra for one in part.subnets),
        router=own.router,
        nat=own.nat,
        peering_range=own.peering_range,
        peering=own.peering,
        rules=own.rules + tuple(one for part in extra for one in part.rules),
    )


def _own_network(context: Context) -> NetworkPart:
    choice = context.network
    jumbo: int = know("mtu", "parallel") if "parallel" in context.kinds else 0
    vpc = Network(
        type=NETWORK,
        name="main",
        because=because(context.plan.network.because),
        cloud_name=context.name(),
        description=f"Network of {context.plan.name}",
        mtu=max(choice.mtu, jumbo),
        depends_on=APIS_READY,
    )
    subnets = [
        Subnet(
            type=SUBNET,
            name="main",
            cloud_name=context.name(),
            range=str(slot(choice.range, "machines")),
            network=vpc.get(),
        )
    ]
    if has_proxy_subnet(context):
        subnets.append(_proxy_subnet(context, vpc.get()))
    router, nat = _way_out(context, vpc.get(), subnets[0].get()) if choice.nat else (None, None)
    peering_range, peering = _peering(context, vpc.get())
    return NetworkPart(
        networks=(vpc,),
        subnets=tuple(subnets),
        router=router,
        nat=nat,
        peering_range=peering_range,
        peering=peering,
        rules=(_ssh_rule(context), *_service_rules(context)),
    )


def _proxy_subnet(context: Context, network: Expression) -> Subnet:
    return Subnet(
        type=SUBNET,
        name="proxy",
        because=comment("The load balancer's proxies take their addresses from here."),
        cloud_name=context.name("proxy"),
        range=str(slot(context.network.range, "proxy")),
        network=network,
        purpose=know("proxy_purpose"),
        role="ACTIVE",
        has_flow_logs=False,
    )


def _way_out(context: Context, network: Expression, subnet: Expression) -> tuple[Router, Nat]:
    router = Router(type="google_compute_router", name="main", cloud_name=context.name(), network=network)
    nat = Nat(
        type="google_compute_router_nat",
        name="main",
        because=comment("The machines have no external address; packages and images come in through here."),
        cloud_name=context.name(),
        router=router.get("name"),
        subnet=subnet,
    )
    return router, nat


def _peering(context: Context, network: Expression) -> tuple[PeeringRange | None, PeeringConnection | None]:
    if not context.kinds & {"parallel", "scratch"}:
        return None, None
    addresses = slot(context.network.range, "peering")
    reserved = PeeringRange(
        type="google_compute_global_address",
        name="peering",
        because=comment("Addresses that the managed file system takes in its own, peered network."),
        cloud_name=context.name("peering"),
        first=str(addresses.network_address),
        prefix_length=addresses.prefixlen,
        network=network,
    )
    connection = PeeringConnection(
        type="google_service_networking_connection",
        name="main",
        network=network,
        ranges=(reserved.get("name"),),
        depends_on=APIS_READY,
    )
    return reserved, connection


def _rule(
    context: Context,
    meaning: str,
    text: str,
    sources: Value,
    allows: tuple[tuple[str, tuple[str, ...]], ...],
    target: Expression = ACCOUNT_EMAIL,
) -> FirewallRule:
    return FirewallRule(
        type=FIREWALL,
        name=names.local(meaning),
        cloud_name=context.name(meaning),
        description=text,
        network=network_id(context),
        sources=sources,
        allows=allows,
        target=target,
    )


def _ssh_rule(context: Context) -> FirewallRule:
    port = (str(know("ports", "ssh")),)
    return _rule(context, "iap-ssh", "SSH through Identity-Aware Proxy only", know("ranges", "iap"), (("tcp", port),))


def _service_rules(context: Context) -> tuple[FirewallRule, ...]:
    """Rules for requests, probes, machines among themselves and file systems, on the network of the machines.

    A shared VPC belongs to its host project: its rules are asked for in the README instead.
    """
    if context.network.host_project:
        return ()
    serving = context.plan.serving
    rules: list[FirewallRule] = []
    if context.image.recipe:
        ssh = (("tcp", (str(know("ports", "ssh")),)),)
        builder = Expression(f"{build.address()}.email")
        rules.append(
            _rule(context, "builder-ssh", "Packer through Identity-Aware Proxy", know("ranges", "iap"), ssh, builder)
        )
    if context.group.heals or serving:
        ports = (str(serving.port if serving else know("ports", "ssh")),)
        probes = know("ranges", "health_checks")
        rules.append(_rule(context, "health-checks", "Probes of Google's health checks", probes, (("tcp", ports),)))
    if serving and serving.expose == "internal":
        proxies: Value = (
            [Expression(f"{SUBNET}.proxy.ip_cidr_range")] if context.network.creates else Expression("var.proxy_ranges")
        )
        rules.append(
            _rule(context, "proxies", "Requests from the load balancer", proxies, (("tcp", (str(serving.port),)),))
        )
    if serving and serving.expose == "none":
        inside = subnet_range(context)
        rules.append(_rule(context, "requests", "Requests from the VPC", inside, (("tcp", (str(serving.port),)),)))
    if context.needs_machine_traffic:
        inside = subnet_range(context)
        rules.append(_rule(context, "machines", "The machines of the workload among themselves", inside, ALL_TRAFFIC))
    if "parallel" in context.kinds and context.network.creates:
        service = [str(slot(context.network.range, "peering"))]
        ports = tuple(know("ports", "parallel"))
        rules.append(_rule(context, "file-system", "Callbacks of the file system", service, (("tcp", ports),)))
    return tuple(rules)

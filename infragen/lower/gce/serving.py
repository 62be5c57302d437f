"""How requests reach the machines: an internal or external application load balancer in front of the group."""

from infragen.lower import names
from infragen.lower.gce import capacity, network
from infragen.lower.gce.compute import PORT_NAME
from infragen.lower.gce.context import APIS_READY, REGION, Context, comment
from infragen.lower.hcl import Expression, join
from infragen.lower.model import BackendService, FrontDoor, HealthCheck, Named, ServingPart, Variable

DOMAIN_HASH = Expression("substr(sha256(var.domain), 0, 8)")
DOMAIN_PATTERN = "^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\\\\.)+[a-z]{2,63}$"


def lower(context: Context) -> ServingPart | None:
    """Everything of serving.tf; None where machines are reached directly or not at all."""
    serving = context.plan.serving
    if serving is None or serving.expose == "none":
        return None
    internal = serving.expose == "internal"
    region = REGION if internal else None
    door = _internal_door(context) if internal else _external_door(context)
    readiness = HealthCheck(
        type="google_compute_region_health_check" if internal else "google_compute_health_check",
        name="readiness",
        cloud_name=context.name("readiness"),
        description="Readiness: a machine that fails it gets no requests",
        region=region,
        port=serving.port,
        path=serving.health_path,
        interval_s=10,
        timeout_s=5,
        healthy=2,
        unhealthy=3,
        depends_on=APIS_READY,
    )
    backend = BackendService(
        type="google_compute_region_backend_service" if internal else "google_compute_backend_service",
        name=names.local(),
        cloud_name=context.name(),
        because=comment(
            f"An answer may stream for up to {serving.timeout_s} s; a machine that leaves finishes its answers first."
        ),
        region=region,
        scheme=door.scheme,
        port_name=PORT_NAME,
        timeout_s=serving.timeout_s,
        drain_s=serving.drain_s,
        health_check=readiness.get(),
        group=capacity.group_reference(context, "instance_group"),
        max_requests_per_second=context.group.target if context.group.signal == "requests" else None,
        security_policy=door.security_policy.get() if door.security_policy else None,
    )
    return ServingPart(health_check=readiness, backend=backend, door=door)


def _named(context: Context, type: str, name: str = "") -> Named:
    return Named(type=type, name=names.local(name), cloud_name=context.name(name), depends_on=APIS_READY)


def _internal_door(context: Context) -> FrontDoor:
    created = context.network.creates
    proxies = (Expression("google_compute_subnetwork.proxy"),) if created else ()
    rule = Named(
        type="google_compute_forwarding_rule", name=names.local(), cloud_name=context.name(), depends_on=proxies
    )
    return FrontDoor(
        address=_named(context, "google_compute_address"),
        url_map=_named(context, "google_compute_region_url_map"),
        proxy=_named(context, "google_compute_region_target_http_proxy"),
        rule=rule,
        certificate=None,
        ssl_policy=None,
        security_policy=None,
        redirect=None,
        region=REGION,
        scheme="INTERNAL_MANAGED",
        network=network.network_id(context),
        subnet=network.subnet_id(context),
    )


def _external_door(context: Context) -> FrontDoor:
    return FrontDoor(
        address=_named(context, "google_compute_global_address"),
        url_map=_named(context, "google_compute_url_map"),
        proxy=_named(context, "google_compute_target_https_proxy"),
        rule=_named(context, "google_compute_global_forwarding_rule"),
        certificate=_certificate(context),
        ssl_policy=_named(context, "google_compute_ssl_policy"),
        security_policy=_named(context, "google_compute_security_policy"),
        redirect=(
            _named(context, "google_compute_url_map", "redirect"),
            _named(context, "google_compute_target_http_proxy", "redirect"),
            _named(context, "google_compute_global_forwarding_rule", "redirect"),
        ),
        region=None,
        scheme="EXTERNAL_MANAGED",
        network=None,
        subnet=None,
    )


def _certificate(context: Context) -> Named:
    """A certificate per domain: a name that is taken could not be created beside the one it replaces."""
    return Named(
        type="google_compute_managed_ssl_certificate",
        name=names.local(),
        cloud_name=join(context.name(reserve=9), "-", DOMAIN_HASH),
        depends_on=APIS_READY,
    )


def variables(context: Context) -> tuple[Variable, ...]:
    """The domain of an external service: a certificate is issued for it, and nothing else can know it."""
    if context.plan.serving is None or context.plan.serving.expose != "external":
        return ()
    return (
        Variable(
            name="domain",
            type="string",
            description="DNS name of the service; its A record must point at the output `address` before the certificate is issued.",
            value=context.plan.serving.domain,
            condition=Expression(f'can(regex("{DOMAIN_PATTERN}", var.domain))'),
            error="domain is a DNS name such as chat.example.com.",
        ),
        Variable(
            name="requests_per_minute",
            type="number",
            description="Requests that one client address may send per minute before it is answered with 429.",
            default=600,
            condition=Expression("var.requests_per_minute >= 1"),
            error="requests_per_minute is at least 1.",
        ),
    )

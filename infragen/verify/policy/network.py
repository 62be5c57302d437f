"""Policies on what can be reached, and from where."""

import ipaddress
from collections.abc import Iterator

from infragen.diagnostics import Diagnostic, Rule
from infragen.verify.module import UNKNOWN, Value
from infragen.verify.policy.rules import Rules
from infragen.verify.policy.view import View, is_false, is_known, is_true

RULES = Rules()

MACHINES = (
    "google_compute_instance",
    "google_compute_instance_template",
    "google_compute_region_instance_template",
)
_EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_PUBLIC_ACLS = frozenset({"publicRead", "publicReadWrite", "authenticatedRead"})


def _is_everybody(value: Value) -> bool:
    members = value if isinstance(value, list) else [value]
    return any(isinstance(member, str) and member in _EVERYBODY for member in members)


@RULES.add(
    "P001",
    "public-bucket",
    "https://docs.cloud.google.com/storage/docs/access-control/making-data-public",
    (
        "google_storage_bucket_iam_member",
        "google_storage_bucket_iam_binding",
        "google_storage_bucket_access_control",
        "google_storage_default_object_access_control",
        "google_storage_object_access_control",
        "google_storage_bucket_acl",
        "google_storage_default_object_acl",
        "google_storage_object_acl",
    ),
)
def public_bucket(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """No bucket or object is open to everybody.

    Why: weights, datasets and checkpoints leak without a trace, and each download is billed.
    Example: `member = "allUsers"` on a bucket.
    """
    for name in ("member", "members", "entity", "role_entity", "predefined_acl"):
        value = resource.value(name)
        entities = [str(one).split(":")[-1] for one in value] if isinstance(value, list) else [value]
        if _is_everybody(entities) or (name == "predefined_acl" and value in _PUBLIC_ACLS):
            yield rule.error(
                f"`{resource.address}` opens a bucket to everybody",
                resource.span(name),
                help="name a service account, a group or a domain",
            )


@RULES.add(
    "P002",
    "bucket-with-object-acls",
    "https://docs.cloud.google.com/storage/docs/uniform-bucket-level-access",
    ("google_storage_bucket",),
)
def bucket_with_object_acls(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A bucket uses uniform access.

    Why: lists on single objects can grant what no policy of the project shows.
    Example: a bucket without `uniform_bucket_level_access = true`.
    """
    value = resource.value("uniform_bucket_level_access")
    if value is None or is_false(value):
        yield rule.error(
            f"`{resource.address}` allows access lists on single objects",
            resource.span("uniform_bucket_level_access"),
            help="set `uniform_bucket_level_access = true`",
        )


@RULES.add(
    "P003",
    "bucket-can-become-public",
    "https://docs.cloud.google.com/storage/docs/public-access-prevention",
    ("google_storage_bucket",),
)
def bucket_can_become_public(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A bucket enforces public access prevention.

    Why: without it one mistaken grant, years later, makes the bucket public.
    Example: a bucket without `public_access_prevention = "enforced"`.
    """
    value = resource.value("public_access_prevention")
    if value is None or (is_known(value) and value != "enforced"):
        yield rule.error(
            f"`{resource.address}` can be made public",
            resource.span("public_access_prevention"),
            help='set `public_access_prevention = "enforced"`',
        )


@RULES.add(
    "P004",
    "external-ip",
    "https://docs.cloud.google.com/compute/docs/ip-addresses/configure-static-external-ip-address",
    MACHINES,
)
def external_ip(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A machine has no external address.

    Why: an address is an open door that every scanner of the internet tries, and it is billed; Cloud NAT lets the
    machine out and IAP lets people in.
    Example: an empty `access_config {}` in a network interface.
    """
    for interface in resource.all("network_interface"):
        for name in ("access_config", "ipv6_access_config"):
            for access in interface.all(name):
                if interface.may_have(name) and access.block not in interface.block.body.blocks:
                    continue  # there may be none
                yield rule.error(
                    f"`{resource.address}` gets an external address",
                    access.span(),
                    help=f"remove the block `{name}`; add Cloud NAT for the way out",
                )


@RULES.add(
    "P005",
    "default-network",
    "https://docs.cloud.google.com/vpc/docs/vpc#default-network",
    (*MACHINES, "google_compute_firewall", "google_compute_router", "google_compute_subnetwork"),
)
def default_network(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """Nothing uses the network `default`.

    Why: it comes with rules that let SSH and RDP in from everywhere, and with a subnet in every region.
    Example: `network = "default"`.
    """
    for view in (resource, *resource.all("network_interface")):
        for name in ("network", "subnetwork"):
            value = view.value(name)
            if isinstance(value, str) and value.rsplit("/", 1)[-1] == "default":
                yield rule.warning(
                    f"`{resource.address}` uses the default network",
                    view.span(name),
                    help="use a network of its own",
                )


@RULES.add(
    "P006",
    "automatic-subnets",
    "https://docs.cloud.google.com/vpc/docs/vpc#subnet-ranges",
    ("google_compute_network",),
)
def automatic_subnets(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A network has only the subnets that are written down.

    Why: an automatic network takes 10.128.0.0/9 in all regions, which collides with every peer that does the same.
    Example: a network without `auto_create_subnetworks = false`.
    """
    value = resource.value("auto_create_subnetworks")
    if value is None or is_true(value):
        yield rule.error(
            f"`{resource.address}` creates a subnet in every region",
            resource.span("auto_create_subnetworks"),
            help="set `auto_create_subnetworks = false`",
        )


def _is_everywhere(value: str) -> bool:
    """Whether a range is the whole internet, or half of it."""
    try:
        return ipaddress.ip_network(value, strict=False).prefixlen <= 1
    except ValueError:
        return False


@RULES.add(
    "P007",
    "open-firewall",
    "https://docs.cloud.google.com/firewall/docs/firewalls",
    ("google_compute_firewall",),
)
def open_firewall(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """No firewall rule lets the whole internet in.

    Why: health checks come from 35.191.0.0/16 and 130.211.0.0/22, people through IAP from 35.235.240.0/20; nothing
    else needs to reach a machine directly. A rule without any source means everywhere.
    Example: `source_ranges = ["0.0.0.0/0"]` on a rule that allows.
    """
    if not resource.has("allow") or is_true(resource.value("disabled")) or resource.value("direction") == "EGRESS":
        return
    if resource.value("direction") is UNKNOWN:
        return
    ranges = resource.value("source_ranges")
    has_source = any(resource.has(name) for name in ("source_ranges", "source_tags", "source_service_accounts"))
    open_ranges = (
        [one for one in ranges if isinstance(one, str) and _is_everywhere(one)] if isinstance(ranges, list) else []
    )
    if open_ranges or not has_source:
        what = f"from {open_ranges[0]}" if open_ranges else "from everywhere, as it names no source"
        yield rule.error(
            f"`{resource.address}` lets traffic in {what}",
            resource.span("source_ranges"),
            help='name the ranges, for example `source_ranges = ["35.235.240.0/20"]` for IAP',
        )


@RULES.add(
    "P008",
    "load-balancing-scheme-by-default",
    "https://registry.terraform.io/providers/hashicorp/google/latest/docs/guides/version_8_upgrade",
    ("google_compute_backend_service", "google_compute_global_forwarding_rule"),
)
def load_balancing_scheme_by_default(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A global backend service or forwarding rule says its load balancing scheme.

    Why: version 8 of the provider changes the default from EXTERNAL to EXTERNAL_MANAGED, which replaces it.
    Example: a backend service without `load_balancing_scheme`.
    """
    if resource.value("load_balancing_scheme") is None:
        yield rule.error(
            f"`{resource.address}` leaves its load balancing scheme to the version of the provider",
            resource.span(),
            help='set `load_balancing_scheme`, for example to `"EXTERNAL_MANAGED"`',
        )

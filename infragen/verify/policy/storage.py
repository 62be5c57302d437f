"""Policies on what holds data: guards, shared disks, file servers, images."""

import ipaddress
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from infragen.diagnostics import Diagnostic, Rule
from infragen.facts import provider_schema
from infragen.verify.module import UNKNOWN
from infragen.verify.policy.network import MACHINES
from infragen.verify.policy.rules import Rules
from infragen.verify.policy.view import View, is_false, is_known, is_true

RULES = Rules()

_DISKS = "https://docs.cloud.google.com/compute/docs/disks/sharing-disks-between-vms"
# Inside a file server this range is taken by its own containers, and clients in it cannot reach it.
_TAKEN_RANGE = ipaddress.ip_network("172.17.0.0/16")
_FULL_IMAGE = re.compile(
    r"https://.+|projects/[^/]+/global/images/(?:family/)?[^/]+|(?:global/images/)(?:family/)?[^/]+"
)


@cache
def _table(name: str) -> dict[str, Any]:
    """A data file of this stage."""
    found: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / name).read_text(encoding="utf-8"))
    return found


@RULES.add(
    "P060",
    "unguarded-data",
    "https://developer.hashicorp.com/terraform/language/meta-arguments/lifecycle",
    lambda: _table("stateful.json")["resources"],
)
def unguarded_data(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """What holds data or a booking cannot be destroyed by accident.

    Why: a plan that replaces it looks like any other, and what it held is gone.
    Example: a disk without `deletion_policy = "PREVENT"`, `prevent_destroy` or deletion protection.
    """
    facts = _table("stateful.json")["resources"][resource.type]
    wanted = facts.get("only_if", {})
    if any(resource.value(name) != value for name, value in wanted.items()):
        return
    protections = [(name, resource.value(name)) for name in facts["protection"]]
    policy = resource.value("deletion_policy")
    destroy = resource.lifecycle("prevent_destroy")
    if policy is UNKNOWN or policy in {"PREVENT", "ABANDON"} or is_true(destroy):
        return
    if any(value is UNKNOWN or is_true(value) for _, value in protections):
        return
    if facts.get("protected_by_default") and all(value is None for _, value in protections):
        return
    if _provider_guards(resource) and policy is None:
        return
    refused = next((name for name, value in protections if is_false(value)), None)
    if policy == "DELETE" or refused or is_false(destroy):
        name = "deletion_policy" if policy == "DELETE" else refused
        yield rule.warning(
            f"`{resource.address}` holds data and may be destroyed, as it says itself",
            resource.span(name),
            help="keep it so only if what it holds can be made again",
        )
        return
    entry = provider_schema.entry("resource", resource.type)
    has_policy = entry is not None and "deletion_policy" in entry["arguments"]
    yield rule.error(
        f"`{resource.address}` holds data and nothing keeps it from being destroyed",
        resource.span(),
        help='set `deletion_policy = "PREVENT"`' if has_policy else "add `lifecycle { prevent_destroy = true }`",
    )


def _provider_guards(resource: View) -> bool:
    """Whether a provider block sets the policy for all resources."""
    module = resource.scope.module
    for _, block in module.blocks("provider"):
        attribute = block.body.attributes.get("deletion_policy")
        if attribute is not None and module.resolve(attribute.value) in {"PREVENT", "ABANDON", UNKNOWN}:
            return True
    return False


@RULES.add("P061", "shared-disk-written", _DISKS, MACHINES)
def shared_disk_written(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A disk for many readers is attached for reading, and stays when a machine goes.

    Why: the API refuses a writer of such a disk, and a group that deletes it with its first machine takes it from all.
    Example: `mode = "READ_WRITE"` for a disk with `access_mode = "READ_ONLY_MANY"`.
    """
    for kind in ("disk", "attached_disk"):
        for attached in resource.all(kind):
            disk = resource.resource(attached.target("source"))
            if disk is None or disk.value("access_mode") != "READ_ONLY_MANY":
                continue
            mode = attached.value("mode")
            if mode is None or (is_known(mode) and mode != "READ_ONLY"):
                yield rule.error(
                    f"`{resource.address}` would write to `{disk.address}`, which many read",
                    attached.span("mode"),
                    help='set `mode = "READ_ONLY"`',
                )
            delete = attached.value("auto_delete")
            if kind == "disk" and (delete is None or is_true(delete)):
                yield rule.error(
                    f"`{resource.address}` would delete `{disk.address}`, which others read too",
                    attached.span("auto_delete"),
                    help="set `auto_delete = false`",
                )


@RULES.add("P062", "shared-disk-of-another-kind", _DISKS, ("google_compute_disk", "google_compute_region_disk"))
def shared_disk_of_another_kind(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A disk is shared the way its type can be, and a disk for many readers is filled when it is created.

    Why: the API refuses the access mode for other types when it applies; what many read nobody can write afterwards.
    Example: `access_mode = "READ_ONLY_MANY"` on a disk without a snapshot or an image to start from.
    """
    mode = resource.value("access_mode")
    if mode not in {"READ_ONLY_MANY", "READ_WRITE_MANY"}:
        return
    shareable = _table("shareable_disks.json")["access_modes"][mode]
    kind = resource.value("type")
    if isinstance(kind, str) and kind.rsplit("/", 1)[-1] not in shareable:
        names = " or ".join(f"`{name}`" for name in shareable)
        yield rule.error(
            f"`{resource.address}` of type `{kind}` cannot have the access mode {mode}",
            resource.span("access_mode"),
            help=f"use {names}, or leave the access mode out",
        )
    seeds = (
        "snapshot",
        "image",
        "source_disk",
        "source_instant_snapshot",
        "source_storage_object",
        "async_primary_disk",
    )
    if mode == "READ_ONLY_MANY" and not any(resource.has(name) for name in seeds):
        yield rule.warning(
            f"`{resource.address}` is empty, and as a disk for many readers stays so",
            resource.span("access_mode"),
            help="create it from a `snapshot` or an `image`, or fill it as READ_WRITE_SINGLE first",
        )


@RULES.add(
    "P063",
    "file-server-in-a-taken-range",
    "https://docs.cloud.google.com/filestore/docs/creating-instances",
    ("google_filestore_instance",),
)
def file_server_in_a_taken_range(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A file server's range does not overlap 172.17.0.0/16.

    Why: the service uses that range itself; clients in it cannot mount.
    Example: `reserved_ip_range = "172.17.8.0/29"`.
    """
    for network in resource.all("networks"):
        value = network.value("reserved_ip_range")
        try:
            taken = isinstance(value, str) and ipaddress.ip_network(value, strict=False).overlaps(_TAKEN_RANGE)
        except (ValueError, TypeError):
            continue  # the name of a range, or one of IPv6
        if taken:
            yield rule.error(
                f"`{resource.address}` reserves {value}, which overlaps {_TAKEN_RANGE}",
                network.span("reserved_ip_range"),
                help="take a range outside of it, for example in 10.0.0.0/8",
            )


@RULES.add(
    "P064",
    "short-image-name",
    "https://docs.cloud.google.com/compute/docs/images/image-families-best-practices",
    MACHINES,
)
def short_image_name(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """An image is named with its project.

    Why: the provider looks for a bare name in a project that it guesses from the first letters, and asks the API for
    it at every plan that changes it.
    Example: `source_image = "debian-12"` instead of `projects/debian-cloud/global/images/family/debian-12`.
    """
    places = [(disk, "source_image") for disk in resource.all("disk")]
    boot = resource.first("boot_disk", "initialize_params")
    if boot is not None:
        places.append((boot, "image"))
    for view, name in places:
        value = view.value(name)
        if isinstance(value, str) and value and not _FULL_IMAGE.fullmatch(value):
            yield rule.error(
                f"`{resource.address}` leaves open in which project the image `{value}` is",
                view.span(name),
                help="write `projects/PROJECT/global/images/NAME`, or `.../images/family/FAMILY`",
            )

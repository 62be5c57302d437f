"""Policies on who gets in, and on secrets."""

import re
from collections.abc import Iterator

from infragen.diagnostics import Diagnostic, Rule
from infragen.verify.model import Call, Literal, Reference
from infragen.verify.module import Value
from infragen.verify.policy.network import MACHINES
from infragen.verify.policy.rules import Rules
from infragen.verify.policy.view import View, is_known

RULES = Rules()

_PROJECT = ("google_compute_project_metadata", "google_compute_project_metadata_item")
_SECRET_NAME = re.compile(
    r"(?:^|[-_.])(?:passwords?|passwd|secrets?|tokens?|api[-_]?keys?|private[-_]?keys?|access[-_]?keys?|credentials?)$",
    re.IGNORECASE,
)
# How well-known kinds of credentials start.
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bhf_[A-Za-z0-9]{20}|\bgh[pousr]_[A-Za-z0-9]{30}|\bAIza[\w-]{30}|\bya29\.[\w-]{20}|\bAKIA[A-Z0-9]{16}\b"
)


def _metadata(resource: View) -> dict[str, Value] | None:
    """The metadata of a machine, with its project's where the module sets that too; None where it is not known."""
    own = resource.value("metadata")
    if own is not None and not isinstance(own, dict):
        return None
    found: dict[str, Value] = {}
    for project in resource.resources(*_PROJECT):
        shared = project.value("metadata")
        if isinstance(shared, dict):
            found |= shared
        key = project.value("key")
        if isinstance(key, str):
            found[key] = project.value("value")
    return found | (own or {})


def _is_on(value: Value) -> bool:
    """Whether a metadata value switches something on; what is not known may."""
    return not is_known(value) or str(value).upper() in {"TRUE", "1", "Y", "YES"}


@RULES.add("P011", "login-without-iam", "https://docs.cloud.google.com/compute/docs/oslogin", MACHINES)
def login_without_iam(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A machine uses OS Login.

    Why: keys in metadata outlive the people who put them there; OS Login ties a login to IAM.
    Example: a template whose metadata lacks `enable-oslogin = "TRUE"`.
    """
    metadata = _metadata(resource)
    if metadata is None or ("enable-oslogin" in metadata and _is_on(metadata["enable-oslogin"])):
        return
    message = f"`{resource.address}` does not use OS Login"
    help = 'set `enable-oslogin = "TRUE"` in its metadata'
    if "enable-oslogin" in metadata:
        yield rule.error(message, resource.span("metadata"), help=help)
    else:
        yield rule.warning(message, resource.span("metadata"), help=help)


@RULES.add(
    "P012",
    "project-ssh-keys",
    "https://docs.cloud.google.com/compute/docs/connect/restrict-ssh-keys",
    MACHINES,
)
def project_ssh_keys(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A machine takes no SSH keys from the project.

    Why: whoever may edit the metadata of the project could log in to every machine; a switched-off OS Login is enough.
    Example: a template whose metadata lacks `block-project-ssh-keys = "TRUE"`.
    """
    metadata = _metadata(resource)
    if metadata is None or ("block-project-ssh-keys" in metadata and _is_on(metadata["block-project-ssh-keys"])):
        return
    yield rule.warning(
        f"`{resource.address}` takes SSH keys from the project",
        resource.span("metadata"),
        help='set `block-project-ssh-keys = "TRUE"` in its metadata',
    )


@RULES.add(
    "P013",
    "serial-console",
    "https://docs.cloud.google.com/compute/docs/troubleshooting/troubleshooting-using-serial-console",
    MACHINES,
)
def serial_console(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """The serial console takes no input.

    Why: it knows no firewall; whoever has a key can reach it from anywhere.
    Example: `serial-port-enable = "TRUE"` in the metadata.
    """
    metadata = resource.value("metadata")
    value = metadata.get("serial-port-enable") if isinstance(metadata, dict) else None
    if is_known(value) and _is_on(value):
        yield rule.error(
            f"`{resource.address}` opens its serial console",
            resource.span("metadata"),
            help='set `serial-port-enable = "FALSE"`; its output can be logged with `serial-port-logging-enable`',
        )


@RULES.add(
    "P014",
    "secret-in-metadata",
    "https://docs.cloud.google.com/compute/docs/metadata/overview",
    (*MACHINES, *_PROJECT),
)
def secret_in_metadata(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """Metadata holds no secrets.

    Why: every process on the machine and everyone who may look at it can read them, and so can the state file.
    Example: `metadata = { api-token = "..." }`.
    """
    metadata = resource.value("metadata")
    for key, value in metadata.items() if isinstance(metadata, dict) else ():
        if not isinstance(value, str) or not value:
            continue
        if (_SECRET_NAME.search(key) and not value.startswith("projects/")) or _SECRET_VALUE.search(value):
            yield rule.error(
                f"`{resource.address}` has a secret in its metadata under `{key}`",
                resource.span("metadata"),
                help="put it in Secret Manager and let the machine's service account read it",
            )
    script = resource.value("metadata_startup_script")
    if isinstance(script, str) and _SECRET_VALUE.search(script):
        yield rule.error(
            f"`{resource.address}` has a secret in its startup script",
            resource.span("metadata_startup_script"),
            help="put it in Secret Manager and let the script read it from there",
        )


@RULES.add(
    "P015",
    "secret-as-default",
    "https://developer.hashicorp.com/terraform/language/values/variables",
    ("variable",),
)
def secret_as_default(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A variable for a secret has no default.

    Why: a default is in version control, readable for everyone who can read the module, for ever.
    Example: `variable "api_token" { default = "abc" }`.
    """
    name = resource.root.label[0] if resource.root.labels else ""
    attribute = resource.block.body.attributes.get("default")
    value = attribute.value.value if attribute and isinstance(attribute.value, Literal) else None
    if not isinstance(value, str) or not value:
        return
    is_named_so = bool(_SECRET_NAME.search(name)) and not value.startswith("projects/")
    if is_named_so or _SECRET_VALUE.search(value):
        yield rule.error(
            f"variable `{name}` has a secret as its default",
            resource.span("default"),
            help="remove the default and pass the name of a secret in Secret Manager instead",
        )


@RULES.add(
    "P016",
    "untyped-variable",
    "https://developer.hashicorp.com/terraform/language/style",
    ("variable",),
)
def untyped_variable(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """A variable says its type.

    Why: with `any`, or without a type, a mistake surfaces deep inside the module instead of at its door.
    Example: `type = any`.
    """
    attribute = resource.block.body.attributes.get("type")
    name = resource.root.label[0] if resource.root.labels else ""
    value = attribute.value if attribute else None
    is_any = isinstance(value, Reference) and value.root == "any"
    is_nested_any = isinstance(value, Call) and any(
        isinstance(one, Reference) and one.root == "any" for one in value.arguments
    )
    if attribute is None or is_any or is_nested_any:
        yield rule.note(
            f"variable `{name}` takes any value" if attribute else f"variable `{name}` has no type",
            resource.span("type"),
            help="write the type out, as an `object({ ... })` if need be",
        )


@RULES.add(
    "P017",
    "role-too-wide",
    "https://docs.cloud.google.com/iam/docs/roles-overview",
    (
        "google_project_iam_member",
        "google_project_iam_binding",
        "google_service_account_iam_member",
        "google_service_account_iam_binding",
    ),
)
def role_too_wide(resource: View, rule: Rule) -> Iterator[Diagnostic]:
    """Nobody gets a basic role, and no role goes to everybody.

    Why: `roles/editor` holds thousands of permissions; one stolen token of such an account is the whole project.
    Example: `role = "roles/editor"` for the service account of a fleet.
    """
    role = resource.value("role")
    if role in {"roles/owner", "roles/editor"}:
        yield rule.error(
            f"`{resource.address}` grants the basic role `{role}`",
            resource.span("role"),
            help="grant the roles of the services that are used",
        )
    for name in ("member", "members"):
        value = resource.value(name)
        members = value if isinstance(value, list) else [value]
        if any(member in ("allUsers", "allAuthenticatedUsers") for member in members if isinstance(member, str)):
            yield rule.error(
                f"`{resource.address}` grants a role to everybody",
                resource.span(name),
                help="name a service account, a group or a domain",
            )

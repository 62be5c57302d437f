"""What runs on a machine: the values that its scripts read from instance metadata, and which scripts there are.

No text of the user's is ever written into a script. It travels as metadata: one item per line, backslashes and line
breaks escaped the way `printf %b` undoes them, so that the shell sees data and never code.
"""

from infragen.diagnostics import Diagnostic, declare
from infragen.lower.gce.context import PROJECT, Context
from infragen.lower.gce.measure import scraped
from infragen.lower.gce.storage import Lowered, local_ssd_target
from infragen.lower.hcl import Expression, Value, call, join
from infragen.lower.model import Boot, Mount

EMPTY = "\\c"  # what `printf %b` ends at
METADATA_LIMIT_BYTES = 256 * 1024  # of one value
SCRIPTS = {"startup-script": "startup.sh", "workload-mount-script": "mount.sh", "workload-run-script": "run.sh"}

NOT_A_PROCESS_TEXT = declare(
    "N102",
    "not-a-process-text",
    """Arguments and environment variables hold no NUL character, no lone surrogate, and fit into instance metadata.

    Why: an operating system ends such a text at a NUL, no encoding carries half a character, and the metadata server
    takes at most 256 KiB per value.
    Example: an environment value that a YAML escape gave a NUL character is refused.
    """,
    source="https://docs.cloud.google.com/compute/docs/metadata/setting-custom-metadata#limitations",
)


def line(text: str) -> str:
    r"""``text`` as one line, never an empty one, that `printf %b` turns back into it.

    >>> print(line("a\\b\nc"), line(""))
    a\\b\nc \c
    """
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r") or EMPTY


def lines(items: list[str | Expression]) -> Expression:
    """The items as a text of lines."""
    return call("join", "\n", items)


def check(context: Context) -> list[Diagnostic]:
    """What of the program cannot reach a machine."""
    program = context.plan.program
    if program is None:
        return []
    texts = {
        "`run.command`": "".join(program.command),
        **{f"`run.env.{name}`": value for name, value in program.env},
        "`run.container`": program.container or "",
    }
    found = []
    for where, text in texts.items():
        if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
            message = f"{where} holds a character that no process can be given"
            found.append(NOT_A_PROCESS_TEXT.error(message, help="remove NUL bytes and halves of characters"))
        elif (size := len(text.encode())) > METADATA_LIMIT_BYTES // 2:
            message = f"{where} is too long for instance metadata: {size:,} bytes"
            help = (
                f"keep it below {METADATA_LIMIT_BYTES // 2:,} bytes: put the rest into the image, a store or a secret"
            )
            found.append(NOT_A_PROCESS_TEXT.error(message, help=help))
    return found


def lower(context: Context, stores: tuple[Lowered, ...]) -> Boot:
    """What the scripts contain."""
    program = context.plan.program
    return Boot(
        mounts=tuple(one.mount for one in stores if one.mount),
        local_ssd=local_ssd_target(context),
        holds_containers=any(one.choice.holds_containers for one in context.stores),
        has_container=bool(program and program.container),
        has_command=bool(program and program.command),
        has_env=bool(program and program.env),
        has_layout=bool(program) and bool(layout(context)),
        restart="always" if context.plan.task == "serve" else "on-failure",
        has_accelerators=context.has_gpus,
        has_split_replicas=context.has_split_replicas,
        has_ranks=context.works_together,
        has_secrets=bool(program and program.secrets),
        has_metrics=scraped(context) is not None,
        has_rdma=context.machine.fabric.is_rdma,
        has_python=bool(context.image.recipe and context.image.recipe.requirements),
        is_prepared=context.image.recipe is not None and context.image.recipe.os is not None,
    )


def layout(context: Context) -> tuple[tuple[str, str, str], ...]:
    """How the model lies on the machines, as variables of the program: name, value, meaning."""
    machine = context.machine
    if not context.has_gpus or not context.has_model:
        return ()
    return (
        ("WORKLOAD_TENSOR_PARALLEL", str(machine.tensor_parallel), "accelerators that share every layer"),
        ("WORKLOAD_PIPELINE_PARALLEL", str(machine.pipeline_parallel), "groups of layers, one after the other"),
        ("WORKLOAD_REPLICAS_PER_NODE", f"{machine.replicas_per_node:g}", "copies of the model per machine"),
    )


def mount_line(mount: Mount) -> Expression:
    """The mount as one line: kind, source, target, options."""
    return join(f"{mount.kind} ", mount.source, f" {mount.target} {mount.options}")


def secret_path(name: str) -> Expression:
    """The newest version of a secret; a bare name is one of the workload's own project.

    >>> str(secret_path("hf-token"))
    '"projects/${var.project_id}/secrets/hf-token/versions/latest"'
    """
    if name.startswith("projects/"):
        return join(name if "/versions/" in name else f"{name}/versions/latest")
    return join("projects/", PROJECT, f"/secrets/{name}/versions/latest")


def metadata(context: Context, boot: Boot) -> dict[str, Value]:
    """Instance metadata: access, logs, scripts, and the values that the scripts read."""
    program = context.plan.program
    found: dict[str, Value] = {
        "block-project-ssh-keys": "TRUE",
        "enable-oslogin": "TRUE",
        "serial-port-enable": "FALSE",
        "serial-port-logging-enable": "TRUE",
    }
    for key, script in SCRIPTS.items():
        if key == "startup-script" or _has_script(boot, key):
            found[key] = call("file", Expression(f'"${{path.module}}/scripts/{script}"'))
    if boot.mounts:
        found["workload-mounts"] = lines([mount_line(mount) for mount in boot.mounts])
    if boot.local_ssd:
        found["workload-local-ssd"] = boot.local_ssd
    if program and program.container:
        found["workload-container"] = program.container
    if program and program.command:
        found["workload-command"] = lines([line(word) for word in program.command])
    if program and program.env:
        found["workload-env"] = lines([line(f"{name}={value}") for name, value in program.env])
    if boot.has_layout:
        found["workload-layout"] = lines([f"{name}={value}" for name, value, _ in layout(context)])
    if program and program.secrets:
        found["workload-secrets"] = lines([join(f"{name} ", secret_path(secret)) for name, secret in program.secrets])
    if boot.has_metrics:
        found["workload-metrics"] = scraped(context) or ""
    if boot.has_ranks:
        found["workload-nodes"] = str(context.group.size)
        if boot.has_split_replicas:
            found["workload-nodes-per-replica"] = str(round(1 / context.machine.replicas_per_node))
        found["workload-accelerators"] = str(max(1, int(context.machine.accelerators_per_node)))
    return dict(sorted(found.items()))


def _has_script(boot: Boot, key: str) -> bool:
    return boot.has_program if key == "workload-run-script" else bool(boot.mounts)


def scripts(boot: Boot) -> tuple[str, ...]:
    """File names of the scripts, below ``scripts/``."""
    return tuple(name for key, name in SCRIPTS.items() if key == "startup-script" or _has_script(boot, key))

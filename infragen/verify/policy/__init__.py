"""What Terraform must never do, whatever the schema allows.

Takes a module and a predicate that says whether a machine type has accelerators. Gives what breaks a rule. Promises
to judge only what is written out: a value that comes from elsewhere is given the benefit of the doubt.

A rule is a function with its reason in its docstring; the modules here group them by subject.
"""

from collections.abc import Callable, Iterator
from functools import cache

from infragen.diagnostics import CATALOGUE, Diagnostic
from infragen.verify.module import Module
from infragen.verify.policy import capacity, groups, identity, network, storage
from infragen.verify.policy.rules import Policy
from infragen.verify.policy.view import Scope, View

POLICIES: tuple[Policy, ...] = (
    *network.RULES.policies,
    *identity.RULES.policies,
    *capacity.RULES.policies,
    *groups.RULES.policies,
    *storage.RULES.policies,
)


def run(module: Module, is_accelerator_machine: Callable[[str], bool]) -> Iterator[Diagnostic]:
    """What breaks a policy in one module."""
    scope = Scope(module, is_accelerator_machine)
    by_type = _by_type()
    for definition in (*module.resources.values(), *module.variables.values()):
        block = definition.block
        name = block.label[0] if block.type == "resource" and block.labels else block.type
        for policy in by_type.get(name, ()):
            yield from policy.judge(View(scope, definition.file, block, block), CATALOGUE[policy.id])


@cache
def _by_type() -> dict[str, list[Policy]]:
    found: dict[str, list[Policy]] = {}
    for policy in POLICIES:
        for type in policy.all_types():
            found.setdefault(type, []).append(policy)
    return found

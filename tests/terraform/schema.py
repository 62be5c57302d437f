"""Table entries as Terraform's schema messages.

Takes a provider and names of types. Gives the bytes of a GetProviderSchema response. Converts each entry once.
"""

import json
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeAlias

from tf.gen import tfplugin_pb2 as pb

from infragen.facts import provider_schema
from tests.terraform.table import Argument, Arguments, Entry, Provider, entry

_Type: TypeAlias = str | list[Any]  # Terraform's own notation, as JSON data

_SCALARS: dict[str, _Type] = {
    "bool": "bool",
    "int": "number",
    "float": "number",
    "string": "string",
    "map": ["map", "string"],
}
_NESTING = {
    "list": pb.Schema.NestedBlock.LIST,
    "set": pb.Schema.NestedBlock.SET,
    "single": pb.Schema.NestedBlock.SINGLE,
}
# Field 11 of the attribute message, a true boolean: `write_only` came to the protocol after the stubs were generated.
_WRITE_ONLY = b"\x58\x01"


def response(provider: Provider, types: Iterable[str]) -> bytes:
    """A whole GetProviderSchema response with the resources and data sources of these names.

    Serialised protobuf messages merge when their bytes are joined, so each part is converted once per process.
    """
    kinds: tuple[provider_schema.Kind, ...] = ("resource", "data_source")
    parts = (_part(provider, kind, name) for name in sorted(types) for kind in kinds)
    return _head(provider) + b"".join(parts)


@cache
def _head(provider: Provider) -> bytes:
    (name,) = provider_schema.names("provider")  # both providers share one table entry
    block = entry(provider, "provider", name)
    assert block is not None
    # Terraform asks each provider instance for its schema again unless told that one answer will do.
    able = pb.ServerCapabilities(get_provider_schema_optional=True)
    return bytes(pb.GetProviderSchema.Response(provider=message(block), server_capabilities=able).SerializeToString())


@cache
def _part(provider: Provider, kind: provider_schema.Kind, name: str) -> bytes:
    found = entry(provider, kind, name)
    if found is None:
        return b""
    member = {"resource": "resource_schemas", "data_source": "data_source_schemas"}[kind]
    return bytes(pb.GetProviderSchema.Response(**{member: {name: message(found)}}).SerializeToString())


def message(found: Entry) -> pb.Schema:
    """The entry as a schema message."""
    return pb.Schema(version=found.version, block=_block(found.arguments))


def type_of(argument: Argument) -> _Type:
    """Terraform's type of an attribute, as JSON data: ``"number"``, ``["list", ["object", {...}]]``."""
    if argument.block is not None:
        return [argument.shape, ["object", {name: type_of(inner) for name, inner in argument.block.items()}]]
    if argument.shape in ("list", "set", "map"):
        return [argument.shape, _SCALARS[argument.element]]
    return _SCALARS[argument.shape]


def _block(arguments: Arguments) -> pb.Schema.Block:
    every = arguments.values()
    return pb.Schema.Block(
        attributes=[_attribute(one) for one in every if one.is_attribute],
        block_types=[_nested(one) for one in every if not one.is_attribute],
    )


def _attribute(argument: Argument) -> pb.Schema.Attribute:
    plain = pb.Schema.Attribute(
        name=argument.name,
        type=json.dumps(type_of(argument)).encode(),
        required=argument.required,
        optional=argument.optional,
        computed=argument.computed,
        sensitive=argument.sensitive,
        deprecated=argument.deprecated,
    )
    if not argument.write_only:
        return plain
    return pb.Schema.Attribute.FromString(plain.SerializeToString() + _WRITE_ONLY)


def _nested(argument: Argument) -> pb.Schema.NestedBlock:
    # The provider's SDK reads `min_items` of an optional block as "this many once there is one": the core must not.
    least = max(1, argument.min_items) if argument.required else 0
    return pb.Schema.NestedBlock(
        type_name=argument.name,
        nesting=_NESTING[argument.shape],
        min_items=least,
        max_items=argument.max_items,
        block=_block(argument.block or {}),
    )

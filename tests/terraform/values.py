"""Terraform's values as Python's, and back.

Takes and gives the protocol's dynamic values. Gives None, bool, int, float, str, list (also for sets) and dict (maps,
objects, blocks); a value that is not known yet stays the msgpack extension that Terraform sent, with its refinements.
"""

import json
from typing import Any, TypeAlias

import msgpack  # type: ignore[import-untyped]
from tf.gen import tfplugin_pb2 as pb

from tests.terraform.table import Argument

# None, bool, int, float, str, list, dict or msgpack.ExtType: which, the argument's schema tells.
Value: TypeAlias = Any
Block: TypeAlias = dict[str, Value]  # the values of an object, by argument

UNKNOWN = msgpack.ExtType(0, b"\x00")


def is_unknown(value: Value) -> bool:
    """Whether Terraform will only know the value during apply."""
    return isinstance(value, msgpack.ExtType)


def decode(dynamic: pb.DynamicValue) -> Value:
    """The value inside a message; None for null."""
    if dynamic.json:
        return json.loads(dynamic.json)
    return msgpack.unpackb(dynamic.msgpack, strict_map_key=False) if dynamic.msgpack else None


def encode(value: Value) -> pb.DynamicValue:
    """The message that holds the value."""
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def is_absent(value: Value) -> bool:
    """Whether nothing was written: null, or no block of that name."""
    return value is None or value == []


def canonical(argument: Argument, value: Value) -> Value:
    """A value to compare with ``==``: two that Terraform holds equal give equal results, whatever order of sets."""
    if value is None or is_unknown(value):
        return value
    if argument.block is None:
        return sorted(value, key=repr) if argument.shape == "set" else value
    if argument.shape == "single":
        return _canonical_block(argument, value)
    inner = [one if is_unknown(one) else _canonical_block(argument, one) for one in value]
    return sorted(inner, key=repr) if argument.shape == "set" else inner


def _canonical_block(argument: Argument, value: Value) -> Block:
    return {name: canonical(inner, value.get(name)) for name, inner in (argument.block or {}).items()}

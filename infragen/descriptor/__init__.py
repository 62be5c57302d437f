"""What a user writes: read, merged, checked, and given as one frozen `Workload`."""

from infragen.descriptor.load import load

__all__ = ["load"]

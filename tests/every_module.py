"""Imports every module of infragen, so that every rule is in the catalogue."""

import importlib
import pkgutil

import infragen

for _module in pkgutil.walk_packages(infragen.__path__, "infragen."):
    importlib.import_module(_module.name)

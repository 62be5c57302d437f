"""A stand-in for the google and google-beta providers, so that Terraform's core can judge configurations offline.

It serves the providers' exact schema over Terraform's plugin protocol 6. What it proves: types, references, functions,
cycles, unknown values, replacement, and the limits that the schema table holds. What it does not prove: that Google
accepts the result, since checks written as code in the provider, diff suppression and the APIs themselves are absent.
"""

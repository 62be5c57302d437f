"""Values for the variables that only a person can know."""

import re

ANSWERS = {
    "domain": '"chat.example.com"',
    "project_id": '"ml-prod-123"',
    "proxy_ranges": '["10.9.0.0/23"]',
    "subnetwork_ranges": '["10.9.16.0/20"]',
}


def lines(files):
    """One assignment for each variable that an output asks for and does not set itself."""
    asked = set(re.findall(r'^variable "(\w+)"', files["variables.tf"], re.MULTILINE))
    told = set(re.findall(r"^(\w+)\s+=", files.get("terraform.tfvars", ""), re.MULTILINE))
    return "".join(f"{name} = {value}\n" for name, value in ANSWERS.items() if name in asked - told)


def answers(files):
    """The same as a file that Terraform reads by itself."""
    return {"answers.auto.tfvars": lines(files)}

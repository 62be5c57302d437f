terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.45.0, < 9.0.0"
    }
    beta = {
      source  = "hashicorp/google-beta"
      version = ">= 7.45.0, < 9.0.0"
    }
    random = {
      source = "hashicorp/random"
    }
  }
}

provider "google" {
  project = var.project
}

provider "google" {
  alias   = "other"
  project = var.project
}

variable "project" {
  description = "Project of all resources"
  type        = string

  validation {
    condition     = can(regex("^[a-z]", var.project))
    error_message = "A project starts with a letter, not like ${var.project}."
  }
}

locals {
  own    = provider::google::name_from_id("a")
  zones  = toset(["europe-west4-a", "europe-west4-b"])
  labels = { for key, value in { team = "a" } : key => upper(value) if value != "" }
  text   = <<-EOT
    ${join(", ", [for zone in local.zones : "${zone}!"])} costs $${5}
    %{for zone in local.zones~}
    ${zone}
    %{endfor~}
    %{if length(local.zones) > 1}many%{else}one%{endif}
  EOT
}

resource "random_id" "suffix" {
  byte_length = 4
}

resource "google_compute_network" "main" {
  provider                = google.other
  name                    = "chat-${random_id.suffix.hex}"
  auto_create_subnetworks = false

  lifecycle {
    ignore_changes = [description, params[0].resource_manager_tags]

    postcondition {
      condition     = self.mtu >= 1460
      error_message = "Too small."
    }
  }
}

resource "google_compute_subnetwork" "zonal" {
  for_each = { for index, zone in sort(local.zones) : zone => index }

  name          = "chat-${each.key}"
  region        = trimsuffix(each.key, "-a")
  network       = google_compute_network.main.id
  ip_cidr_range = cidrsubnet("10.0.0.0/8", 8, each.value)
  depends_on    = [google_compute_network.main, random_id.suffix]
}

resource "google_compute_resource_policy" "compact" {
  provider = beta
  name     = "compact"
  region   = "europe-west4"

  group_placement_policy {
    collocation  = "COLLOCATED"
    max_distance = 2
  }
}

data "google_compute_zones" "all" {
  count  = var.project == "" ? 0 : 1
  region = "europe-west4"
}

module "inner" {
  source    = "./inner"
  providers = { google = google.other }
  subnets   = values(google_compute_subnetwork.zonal)[*].id
}

moved {
  from = google_compute_network.old
  to   = google_compute_network.main
}

check "network" {
  data "google_compute_network" "seen" {
    name = google_compute_network.main.name
  }

  assert {
    condition     = data.google_compute_network.seen.self_link != ""
    error_message = "Gone."
  }
}

output "subnets" {
  description = "Subnets by zone"
  value       = { for zone, subnet in google_compute_subnetwork.zonal : zone => subnet.self_link }
}

output "zones" {
  description = "Zones, the first of them, and where this is"
  value       = [one(data.google_compute_zones.all[*].names), data.google_compute_zones.all[0].names[0], path.module, terraform.workspace, module.inner.anything]
}

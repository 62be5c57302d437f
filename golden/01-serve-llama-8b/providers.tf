provider "google" {
  project = var.project_id
  region  = var.region

  default_labels = local.labels
}

locals {
  labels = {
    managed-by = "infragen"
    team       = "support"
    workload   = "support-chat"
  }
}

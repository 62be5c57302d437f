provider "google" {
  project = var.project_id
  region  = var.region

  default_labels = local.labels
}

locals {
  labels = {
    cost-center = "4711"
    managed-by  = "infragen"
    team        = "research"
    workload    = "legal-tune"
  }
}

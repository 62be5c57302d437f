# T014: 3,811 GiB for 6 VMs: the cheapest of 10 services that suit, 76.22 USD a month
resource "google_storage_bucket" "checkpoints" {
  name                        = "${var.project_id}-legal-tune-checkpoints"
  location                    = var.region
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  deletion_policy             = "PREVENT"

  # Folders that rename in one step: what checkpoint writers need. Such a bucket keeps no versions.
  hierarchical_namespace {
    enabled = true
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  soft_delete_policy {
    retention_duration_seconds = 604800
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.main]
}

# T014: 2,048 GiB for 6 VMs: the cheapest of 10 services that suit, 576 USD a month
resource "google_filestore_instance" "dataset" {
  name                        = "legal-tune-dataset"
  description                 = "dataset of legal-tune"
  location                    = var.zone
  tier                        = "ZONAL"
  protocol                    = "NFS_V3"
  deletion_protection_enabled = true
  deletion_protection_reason  = "Holds data; see README.md for how to lift the guards."
  deletion_policy             = "PREVENT"

  file_shares {
    name        = "dataset"
    capacity_gb = 2304
  }

  networks {
    network      = google_compute_network.main.id
    modes        = ["MODE_IPV4"]
    connect_mode = "DIRECT_PEERING"
  }

  timeouts {
    create = "60m"
    update = "60m"
    delete = "60m"
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.main]
}

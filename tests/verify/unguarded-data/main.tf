resource "google_compute_disk" "silent" {
  name = "silent"
  zone = "europe-west4-a"
}

resource "google_compute_disk" "deliberate" {
  name            = "deliberate"
  zone            = "europe-west4-a"
  deletion_policy = "DELETE"
}

resource "google_compute_disk" "kept" {
  name = "kept"
  zone = "europe-west4-a"

  lifecycle {
    prevent_destroy = true
  }
}

resource "google_compute_disk" "depends" {
  name            = "depends"
  zone            = "europe-west4-a"
  deletion_policy = var.deletion_policy
}

variable "deletion_policy" {
  description = "What a destroy does to the disks"
  type        = string
}

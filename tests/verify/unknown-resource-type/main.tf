resource "google_compute_networks" "main" {
  name = "chat"
}

data "google_storage_bucket_objekt" "main" {
  name = "chat"
}

resource "google_compute_zones" "all" {
}

resource "aws_instance" "other" {
  anything = "goes"
}

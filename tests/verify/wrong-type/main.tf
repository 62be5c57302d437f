resource "google_compute_network" "main" {
  name                    = "chat"
  auto_create_subnetworks = false
  mtu                     = "large"
  routing_mode            = ["REGIONAL"]
  delete_default_routes_on_create = 1
}

resource "google_compute_image" "main" {
  name         = "chat"
  source_image = "projects/p/global/images/i"
  disk_size_gb = "10"
  labels       = ["a"]
  licenses     = "l"
}

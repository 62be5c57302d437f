resource "google_compute_network" "main" {
  name                    = "chat"
  auto_create_subnetworks = false
  mtuu                    = 8896
  range                   = "10.0.0.0/8"

  timeouts {
    creat = "5m"
  }
}

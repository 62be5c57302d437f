variable "region" {
  description = "Region of all resources"
  type        = string
}

resource "google_compute_router" "main" {
  name    = local.nme
  region  = var.regoin
  network = google_compute_network.main.id
}

output "zone" {
  value = [data.google_compute_zones.all.names, module.other.zone, zone, path.modul]
}

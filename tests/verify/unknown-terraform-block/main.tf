variables "zone" {
  type = string
}

resource "google_compute_network" {
  auto_create_subnetworks = false
}

variable "zone" {
  typ = string
}

output "zone" {
  description = "Zone of all machines"
}

zone = "a"

resource "google_compute_address" "many" {
  count        = 2
  name         = "chat-${count.index}"
  region       = "europe-west4"
  address_type = "INTERNAL"
}

resource "google_compute_address" "one" {
  name         = "chat"
  region       = "europe-west4"
  address_type = "INTERNAL"
}

resource "google_compute_instance_group_manager" "main" {
  name               = "chat"
  base_instance_name = "chat"
  zone               = "europe-west4-a"

  version {
    instance_template = "projects/p/global/instanceTemplates/t"
  }
}

output "addresses" {
  value = [
    google_compute_address.many.address,
    google_compute_address.many[0].address,
    google_compute_address.many[*].address,
    google_compute_address.one[0].address,
    google_compute_address.one.address,
    google_compute_instance_group_manager.main.version.name,
    google_compute_instance_group_manager.main.version[0].name,
  ]
}

resource "google_filestore_instance" "home" {
  name            = "home"
  location        = "europe-west4-a"
  tier            = "ZONAL"
  deletion_policy = "PREVENT"

  file_shares {
    name        = "home"
    capacity_gb = 1024
  }

  networks {
    network           = "projects/p/global/networks/n"
    modes             = ["MODE_IPV4"]
    reserved_ip_range = "172.17.8.0/29"
  }
}

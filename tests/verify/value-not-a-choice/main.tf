resource "google_compute_router_nat" "main" {
  name                               = "chat"
  router                             = "chat"
  region                             = "europe-west4"
  nat_ip_allocate_option             = "AUTO"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

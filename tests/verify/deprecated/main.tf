resource "google_container_registry" "main" {
  location = "EU"
}

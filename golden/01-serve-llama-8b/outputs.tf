output "address" {
  description = "Address of the service."
  value       = google_compute_address.main.address
}

output "instance_group" {
  description = "The managed instance group."
  value       = google_compute_region_instance_group_manager.main.id
}

output "service_account" {
  description = "E-mail of the account that the machines run as."
  value       = google_service_account.main.email
}

output "weights_bucket" {
  description = "Bucket of the weights."
  value       = google_storage_bucket.weights.url
}

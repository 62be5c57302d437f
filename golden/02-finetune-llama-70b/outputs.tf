output "checkpoints_bucket" {
  description = "Bucket of the checkpoints."
  value       = google_storage_bucket.checkpoints.url
}

output "instance_group" {
  description = "The managed instance group."
  value       = google_compute_instance_group_manager.main.id
}

output "service_account" {
  description = "E-mail of the account that the machines run as."
  value       = google_service_account.main.email
}

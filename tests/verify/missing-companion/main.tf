resource "google_secret_manager_secret_version" "main" {
  secret         = "projects/p/secrets/s"
  secret_data_wo = var.token
}

variable "token" {
  description = "Token of the model hub"
  type        = string
  sensitive   = true
}

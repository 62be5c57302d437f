resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = var.image
  }

  lifecycle {
    create_before_destroy = true
  }
}

variable "image" {
  description = "Image of all machines"
  type        = string
  default     = "debian-cloud/debian-12"
}

resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata     = { enable-oslogin = "TRUE", block-project-ssh-keys = "TRUE" }

  disk {
    source_image = "projects/p/global/images/i"
  }

  scheduling {
    provisioning_model  = "SPOTTY"
    on_host_maintenance = var.is_batch ? "TERMINATE" : "MIGRAT"
  }

  lifecycle {
    create_before_destroy = true
  }
}

variable "is_batch" {
  description = "Whether nobody waits for an answer"
  type        = bool
}

resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "a3-highgpu-8g"
  metadata     = var.metadata

  disk {
    source_image = "projects/p/global/images/i"
  }

  network_interface {
    subnetwork = var.subnetwork

    dynamic "access_config" {
      for_each = var.is_external ? [1] : []
      content {
      }
    }
  }

  dynamic "scheduling" {
    for_each = [var.scheduling]
    iterator = it
    content {
      provisioning_model  = it.value.model
      on_host_maintenance = it.value.maintenance
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

variable "subnetwork" {
  description = "Subnet of all machines"
  type        = string
}

variable "is_external" {
  description = "Whether machines get an external address"
  type        = bool
  default     = null
}

variable "metadata" {
  description = "Metadata of all machines"
  type        = map(string)
}

variable "scheduling" {
  description = "How machines are bought"
  type        = object({ model = string, maintenance = optional(string, "TERMINATE") })
}

variable "image" {
  description = "Boot image to use instead of the decided one, projects/PROJECT/global/images/NAME: pins it, or rolls back."
  type        = string
  default     = null

  validation {
    condition     = var.image == null || can(regex("^projects/[^/]+/global/images/(family/)?[a-z]([-a-z0-9]*[a-z0-9])?$", var.image))
    error_message = "image is a full path: projects/PROJECT/global/images/NAME or .../images/family/FAMILY."
  }
}

variable "notification_channels" {
  description = "Monitoring channels that are told of incidents, projects/PROJECT/notificationChannels/ID; none: incidents only show in the console."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for channel in var.notification_channels : can(regex("^projects/[^/]+/notificationChannels/[0-9]+$", channel))])
    error_message = "A channel is projects/PROJECT/notificationChannels/ID."
  }
}

variable "project_id" {
  description = "Project that everything is created in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][-a-z0-9]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is a project's id, not its name or number."
  }
}

# K001: machines 85,205 USD for the job, 2,570 kg CO2e for the job: the only region with the machine
# K006: us-central1 is marked low-carbon: 87% carbon-free by the hour, 412.72 g CO2e a kWh, 2024
variable "region" {
  description = "Region of everything that is regional."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is the name of a region."
  }
}

variable "zone" {
  description = "Zone of the region that the machines, and what is bound to one zone, lie in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", var.zone))
    error_message = "zone is the name of a zone."
  }
}

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

# K001: machines 6.31 USD an hour, 0.0676 kg CO2e an hour: first of 3 regions with the machine
# K006: europe-west4 is marked low-carbon: 83% carbon-free by the hour, 208.81 g CO2e a kWh, 2024
variable "region" {
  description = "Region of everything that is regional."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is the name of a region."
  }
}

variable "zones" {
  description = "Zones of the region that the group spreads over; what is bound to one zone lies in the first."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.zones) > 0 && alltrue([for zone in var.zones : can(regex("^[a-z]+-[a-z]+[0-9]+-[a-z]$", zone))])
    error_message = "zones are names of zones, at least one."
  }
}

variable "labels" {
  description = "Labels of all resources"
  type        = any
}

variable "zones" {
  description = "Zones of all machines"
}

variable "tags" {
  description = "Tags of all machines"
  type        = list(any)
}

variable "zone" {
  description = "Zone of all machines"
  type        = string
}

locals {
  name = "chat"
}

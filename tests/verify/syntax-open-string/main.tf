variable "zone" {
  description = "Where
  type        = string
}

variable "project" {
  default = "p"
}

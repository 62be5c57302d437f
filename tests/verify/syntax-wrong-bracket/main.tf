locals {
  zones = ["a", "b"}
}

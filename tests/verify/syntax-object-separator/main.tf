locals {
  labels = { team = "a" stage = "b" }
}

locals {
  name  = upcase("a")
  zones = core::sort(["a"])
}

locals {
  name  = upcase("a")
  zones = core::sort(["a"])
  own   = provider::google::name_from_id("a")
}

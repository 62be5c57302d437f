locals {
  script = <<-EOT
    true
}

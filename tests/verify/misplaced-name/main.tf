resource "google_compute_network" "main" {
  name                    = "chat"
  auto_create_subnetworks = false
  description             = each.key

  dynamic "params" {
    for_each = [1]
    content {
      resource_manager_tags = { a = params.value, b = each.value }
    }
  }
}

output "network" {
  value = [count.index, self.id, [for each in [1] : each]]
}

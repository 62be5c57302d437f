# C003: spot, because the workload checkpoints every 10 min
resource "google_compute_instance_template" "main" {
count = 2 # two
  name_prefix="chat-"
  machine_type = "a3-highgpu-8g"

  labels = {
    team="support"
    "cost-center" = "4711"
    nested = {
      a=1
      long_name = [1,2,3]
    }
  }
  metadata = merge(var.metadata,{
    enable-oslogin = "TRUE"
    startup-script = <<-EOT
      #!/bin/bash
        set -eu
      echo "${ var.name }" $${HOME}
    EOT
    x = 1
  })

  disk {
    boot=true
    auto_delete   = true


    source_image = local.image   # pinned
    size = 100 // GB
  }
  dynamic "network_interface" {
    for_each=[for i in range(8): i]
    content {
      subnetwork=google_compute_subnetwork.rdma[network_interface.key].id
    }
  }
  lifecycle {
  create_before_destroy = true
      ignore_changes = [
labels,
        metadata["x"],
    ]
  }
}


output "é" {
  value = var.a?"b":"c" # é
  description = "ümlaut"       # why
}

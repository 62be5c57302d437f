resource "google_compute_instance_template" "main" {
  name_prefix  = "chat-"
  machine_type = "n2-standard-4"
  metadata = {
    enable-oslogin         = "TRUE"
    block-project-ssh-keys = "TRUE"
    hub-token              = "correct horse"
    secret-name            = "projects/p/secrets/s"
  }

  disk {
    source_image = "projects/p/global/images/i"
  }

  lifecycle {
    create_before_destroy = true
  }
}

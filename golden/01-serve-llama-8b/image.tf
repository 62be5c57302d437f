locals {
  # I001: image.base names the family `chat-serving`
  # I003: machines created from now on boot the family's newest image; running machines keep theirs
  boot_image = coalesce(var.image, "projects/${var.project_id}/global/images/family/chat-serving")
}

locals {
  # I005: Ubuntu 24.04 for x86_64, driver 580: the rest is installed at the first boot
  # I003: machines created from now on boot the family's newest image; running machines keep theirs
  boot_image = coalesce(var.image, "projects/ubuntu-os-accelerator-images/global/images/family/ubuntu-accelerator-2404-amd64-with-nvidia-580")
}

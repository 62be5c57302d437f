locals {
  # I005: Ubuntu 24.04 for x86_64, driver 580: the rest is installed at the first boot
  # A family: machines that are created later boot its newest image, unless var.image names one.
  boot_image = coalesce(var.image, "projects/ubuntu-os-accelerator-images/global/images/family/ubuntu-accelerator-2404-amd64-with-nvidia-580")
}

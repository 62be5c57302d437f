source "googlecompute" "main" {
  project_id                  = "my-project"
  zone                        = "us-central1-a"
  ssh_username                = "packer"
  image_name                  = "a-name-that-is-longer-than-the-sixty-three-characters-of-an-image"
  image_storage_locations     = ["us", "eu"]
  omit_external_ip            = true
  address                     = "198.51.100.1"
  use_iap                     = true
  communicator                = "none"
  enable_integrity_monitoring = true
  accelerator_type            = "projects/p/zones/z/acceleratorTypes/nvidia-l4"
  accelerator_count           = 1
}

packer {
  required_plugins {
    googlecompute = {
      version = "~> 1.2.5"
      source  = "github.com/hashicorp/googlecompute"
    }
  }
}

sources "googlecompute" "typo" {
}

source "googlecompute" "main" {
  project_id          = "my-project"
  zone                = "us-central1-a"
  source_image_family = "ubuntu-2404-lts-amd64"
  disk_size_gb        = 100
  use_iap             = "yes"
  tags                = "builder"

  labels {
    team = "ml"
  }

  image_encryption_key {
    kms_key_name = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
  }
}

source "amazon-ebs" "other" {
  anything = true
}

build {
  sources = ["source.googlecompute.main"]

  provisioner "shell" {
    script_list = ["install.sh"]
  }

  provisioner "ansible" {
    playbook_file = "site.yml"
  }

  post-processor "manifest" {
    outputs = "manifest.json"
  }
}

terraform {
  required_version = ">= 1.5"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.45.0, < 9.0.0"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 7.45.0, < 9.0.0"
    }
  }

  backend "gcs" {
    bucket = "state-of-the-stack"
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = { managed-by = "terraform" }
}

provider "google-beta" {
  project = var.project
  region  = var.region
}

variable "project" {
  description = "Project of every resource"
  type        = string
  default     = "test-project"
}

variable "region" {
  description = "Region of every regional resource"
  type        = string
  default     = "europe-west4"
}

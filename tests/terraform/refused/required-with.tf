# 10: these must be given together

provider "google" {
  project = "test-project"
}

resource "google_compute_ssl_certificate" "main" {
  certificate            = "-----BEGIN CERTIFICATE-----"
  private_key            = "-----BEGIN PRIVATE KEY-----"
  private_key_wo_version = "1"
}

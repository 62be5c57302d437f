# 8: invalid value of `account_id`
provider "google" {
  project = "test-project"
  region  = "europe-west4"
}

resource "google_service_account" "main" {
  account_id = "Chat Node"
}

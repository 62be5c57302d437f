locals {
  path = "C:\disk"
}

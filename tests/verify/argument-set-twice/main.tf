locals {
  zone = "a"
  zone = "b"
}

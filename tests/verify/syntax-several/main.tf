locals {
  first = [1,, 2]
}

locals {
  second = = 3
}

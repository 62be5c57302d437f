variable "a" {
type = "string"
default = "${var.x}"
}
variable b {
type=map
}
resource google_x "y" {
a = "${f("x")}"
b = "${a}${b}"
c = ["${a}"]
d = { e = "${a}" }
f = {
g = "${a}"
}
}

resource foo  "bar"   {
a=1
bb =    "${ var.x }"
c = "x${ var.x+1 }  y"
d = <<-EOT
   hello ${ var.x }
     more   %{ if   true }x%{ endif }
    EOT
eee=1   # c
ff = 2       // d

g = {
a=1
"bcd"=2   # x
   e = [
1,2,
   3 ]
}
h = [{
a=1
},{
b=2
}]
k = f(<<E
  x
E
,1)
l = x?1:2
m = !x&&-3>-2
n = {for k,v in y:k=>v...}
o = a[ 0 ].b[*] .c
p=(1+2 )*3
q = "a" /* inline */
/* block
   comment */
   # lead
dynamic   "x" {
for_each=[ ]
content { }
}



r = f( a , b... )
lifecycle{prevent_destroy=true}
s = x == null ? [ ] : [ 1 ]
t = "${var.x}"
u = ["${var.x}"]
w = -1
z = [for x in [1]: x]
}
variable "v" {
type="string"
default   = {}
}
variable "w" {
type=list
description="x"
}



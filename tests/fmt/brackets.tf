a = [{
b = 1
}, {
c = 2
}]
d = f({
e = [
1,
2]
}, g(
h))
i = [
{ j = 1, k = 2 },
[ ],
]
l = (
m
)
n = f(<<E
  text
E
, 1)
o = concat([
  1], [
  2
])

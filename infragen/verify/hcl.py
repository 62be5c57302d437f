"""HCL text to records.

Takes a path and a text. Gives a `File`, or the syntax errors. Promises to refuse what Terraform refuses as syntax.

tree-sitter reads the text in C. Its grammar for HCL takes line breaks for mere space, so a text it accepts is held
against the line rules of HCL by ``layout``; a text it refuses is searched for the exact place by ``locate``.
"""

import re
from functools import cache, lru_cache

import tree_sitter_hcl
from tree_sitter import Language, Node, Parser

from infragen.diagnostics import Diagnostic, Span
from infragen.verify import layout, locate
from infragen.verify.model import (
    Access,
    Attribute,
    Block,
    Body,
    Call,
    Conditional,
    Directive,
    Expr,
    File,
    ForExpr,
    Label,
    ListExpr,
    Literal,
    ObjectExpr,
    Operation,
    Reference,
    Step,
    Template,
)

MAX_DEPTH = 100  # brackets open at once, V001
_BRACKET = re.compile(r"[\[\](){}]")
_WORDS = {b"true": True, b"false": False, b"null": None}
_ESCAPE = re.compile(r'\\(?:([nrt"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))|(\$\$|%%)(?=\{)')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_OPERATORS = frozenset({"+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "!"})


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_hcl.language()))


def _tree(source: bytes) -> Node:
    return _parser().parse(source).root_node


@lru_cache(maxsize=512)
def parse(path: str, text: str) -> tuple[File, tuple[Diagnostic, ...]]:
    """The file and its syntax errors; with any, the body is empty and nothing more can be said about it."""
    source = text.removeprefix("\ufeff").encode(errors="replace")
    root = _tree(source)
    file = File(path, source, Body({}, ()))
    deep = _too_deep(text)
    if deep is not None:
        line = text.count("\n", 0, deep) + 1
        help = f"keep it below {MAX_DEPTH} levels"
        return file, (layout.SYNTAX.error("nested too deeply", Span(path, line), help=help),)
    if root.has_error:
        return file, locate.errors(file, _tree)
    found = layout.errors(file, root)
    if found:
        return file, found
    body = next((child for child in root.named_children if child.type == "body"), None)
    return File(path, source, _Reader(source).body(body)), ()


def _too_deep(text: str) -> int | None:
    """Where brackets are open more than `MAX_DEPTH` deep: deeper than anybody writes, and than recursion reaches."""
    depth = 0
    for match in _BRACKET.finditer(text):
        depth += 1 if match[0] in "([{" else -1
        if depth > MAX_DEPTH:
            return match.start()
    return None


class _Reader:
    """Nodes of one source to records."""

    def __init__(self, source: bytes) -> None:
        self.source = source

    def text(self, node: Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode(errors="replace")

    def body(self, node: Node | None) -> Body:
        attributes: dict[str, Attribute] = {}
        blocks: list[Block] = []
        for child in node.named_children if node else ():
            kind = child.type
            if kind == "attribute":
                attribute = self.attribute(child)
                attributes.setdefault(attribute.name, attribute)
            elif kind == "block":
                blocks.append(self.block(child))
        return Body(attributes, tuple(blocks))

    def attribute(self, node: Node) -> Attribute:
        start = node.start_byte
        plain = layout.PLAIN_ARGUMENT.fullmatch(self.source, start, node.end_byte)
        if plain:
            return Attribute(plain["name"].decode(), _plain(plain), start)
        name, *rest = node.named_children
        value = next(part for part in reversed(rest) if part.type == "expression")
        return Attribute(self.text(name), self.expression(value), start)

    def block(self, node: Node) -> Block:
        labels: list[Label] = []
        body: Node | None = None
        first, *rest = node.named_children
        header_end = first.end_byte
        for child in rest:
            kind = child.type
            if kind == "string_lit":
                text = _unescape(self.source[child.start_byte + 1 : child.end_byte - 1].decode(errors="replace"))
                labels.append(Label(text, child.start_byte, child.end_byte))
                header_end = child.end_byte
            elif kind == "identifier":
                labels.append(Label(self.text(child), child.start_byte, child.end_byte))
                header_end = child.end_byte
            elif kind == "body":
                body = child
        return Block(self.text(first), tuple(labels), self.body(body), node.start_byte, header_end, node.end_byte)

    def expression(self, node: Node) -> Expr:
        """The expression of a node of type ``expression``."""
        start, end = node.start_byte, node.end_byte
        plain = layout.PLAIN_VALUE.fullmatch(self.source, start, end)
        return _plain(plain) if plain else self.sequence(node.children, start, end)

    def sequence(self, nodes: list[Node], start: int, end: int) -> Expr:
        """A primary expression and the traversal steps that follow it in the same list of nodes."""
        base: Expr | None = None
        steps: list[Step] = []
        for node in nodes:
            kind = node.type
            if kind in {"get_attr", "index", "splat"}:
                steps.extend(self.steps(node))
            elif kind not in {"(", ")", "comment"}:
                base = self.primary(node)
        if base is None:
            raise AssertionError("an expression without a primary passed the grammar")
        if not steps:
            return base
        if isinstance(base, Reference) and not base.steps:
            return Reference(start, end, base.root, tuple(steps))
        return Access(start, end, base, tuple(steps))

    def primary(self, node: Node) -> Expr:  # noqa: PLR0911, PLR0912 - one line for each kind of node
        start, end = node.start_byte, node.end_byte
        match node.type:
            case "expression":
                return self.expression(node)
            case "literal_value" | "template_expr" | "collection_value" | "for_expr" | "operation":
                return self.primary(next(child for child in node.named_children if child.type != "comment"))
            case "variable_expr":
                return Reference(start, end, self.text(node), ())
            case "numeric_lit":
                return Literal(start, end, _number(self.text(node)))
            case "bool_lit":
                return Literal(start, end, self.text(node) == "true")
            case "null_lit":
                return Literal(start, end, None)
            case "string_lit":
                return Literal(start, end, _unescape(self.source[start + 1 : end - 1].decode(errors="replace")))
            case "quoted_template":
                return self.template(node, start + 1, end - 1, start, end)
            case "heredoc_template":
                return self.heredoc(node)
            case "tuple":
                return ListExpr(start, end, tuple(self.expressions(node)))
            case "object":
                elements = (child for child in node.named_children if child.type == "object_elem")
                return ObjectExpr(start, end, tuple(self.element(element) for element in elements))
            case "function_call":
                return self.call(node)
            case "conditional":
                condition, yes, no = self.expressions(node)
                return Conditional(start, end, condition, yes, no)
            case "for_tuple_expr" | "for_object_expr":
                return self.for_expression(node)
            case _:
                return self.operation(node)

    def expressions(self, node: Node) -> list[Expr]:
        return [self.expression(child) for child in node.named_children if child.type == "expression"]

    def element(self, node: Node) -> tuple[Expr, Expr]:
        key_node, value_node = (child for child in node.named_children if child.type == "expression")
        key = self.expression(key_node)
        # A bare word is the key itself; in parentheses it is computed.
        if isinstance(key, Reference) and not key.steps and self.source[key_node.start_byte] != ord("("):
            key = Literal(key.start, key.end, key.root)
        return key, self.expression(value_node)

    def call(self, node: Node) -> Call:
        name, *rest = node.named_children
        arguments = next((child for child in rest if child.type == "function_arguments"), None)
        return Call(
            node.start_byte,
            node.end_byte,
            self.text(name),
            name.end_byte,
            tuple(self.expressions(arguments)) if arguments else (),
        )

    def operation(self, node: Node) -> Operation:
        """The operands stand in the node as flat lists, with the operator between them."""
        operator = ""
        operands: list[list[Node]] = [[]]
        for child in node.children:
            if child.type in _OPERATORS and not child.is_named:
                operator = child.type
                if operands[-1]:
                    operands.append([])
            elif child.type != "comment":
                operands[-1].append(child)
        read = [self.sequence(one, one[0].start_byte, one[-1].end_byte) for one in operands if one]
        return Operation(node.start_byte, node.end_byte, operator, tuple(read))

    def for_expression(self, node: Node) -> ForExpr:
        intro = next(child for child in node.named_children if child.type == "for_intro")
        names = tuple(self.text(child) for child in intro.named_children if child.type == "identifier")
        condition = next((child for child in node.named_children if child.type == "for_cond"), None)
        *key, value = self.expressions(node)
        return ForExpr(
            node.start_byte,
            node.end_byte,
            names,
            self.expressions(intro)[0],
            key[0] if key else None,
            value,
            self.expressions(condition)[0] if condition else None,
        )

    def steps(self, node: Node) -> list[Step]:
        start, end = node.start_byte, node.end_byte
        if node.type == "get_attr":
            return [Step("attribute", self.text(node.named_children[-1]), None, start, end)]
        if node.type == "splat":
            inner = node.named_children[0]
            found = [Step("splat", None, None, start, start + 2)]
            for child in inner.named_children:
                if child.type in {"get_attr", "index"}:
                    found.extend(self.steps(child))
            return found
        inner = node.named_children[0]
        if inner.type == "legacy_index":
            return [Step("index", int(self.text(node).lstrip(". \t") or 0), None, start, end)]
        key = self.expressions(inner)[0]
        if isinstance(key, Literal) and isinstance(key.value, (str, int)):
            return [Step("index", key.value, None, start, end)]
        return [Step("index", None, key, start, end)]

    def template(self, node: Node, first: int, last: int, start: int, end: int) -> Expr:
        parts = self.parts(node.named_children, first, last, is_raw=False)
        return Template(start, end, parts)

    def parts(self, nodes: list[Node], first: int, last: int, *, is_raw: bool) -> tuple[str | Expr, ...]:
        """Literal text between ``first`` and ``last`` and the interpolations among ``nodes``."""
        found: list[str | Expr] = []
        place = first
        for node in nodes:
            if node.type not in {"template_interpolation", "template_directive", "template_else_intro"}:
                continue
            if node.start_byte > place:
                found.append(self.literal(place, node.start_byte, is_raw=is_raw))
            if node.type == "template_interpolation":
                found.extend(self.expressions(node))
            elif node.type == "template_directive":
                found.append(self.directive(node.named_children[0], is_raw=is_raw))
            place = node.end_byte
        if last > place:
            found.append(self.literal(place, last, is_raw=is_raw))
        return tuple(found)

    def literal(self, start: int, end: int, *, is_raw: bool) -> str:
        text = self.source[start:end].decode(errors="replace")
        return text.replace("$${", "${").replace("%%{", "%{") if is_raw else _unescape(text)

    def directive(self, node: Node, *, is_raw: bool) -> Directive:
        is_loop = node.type == "template_for"
        kinds = ("template_for_start", "template_for_end") if is_loop else ("template_if_intro", "template_if_end")
        intro, closing = (next(child for child in node.named_children if child.type == kind) for kind in kinds)
        names = tuple(self.text(child) for child in intro.named_children if child.type == "identifier")
        parts = self.parts(node.named_children, intro.end_byte, closing.start_byte, is_raw=is_raw)
        return Directive(node.start_byte, node.end_byte, names, self.expressions(intro)[0], parts)

    def heredoc(self, node: Node) -> Expr:
        first = self.source.index(b"\n", node.start_byte) + 1
        closing = node.named_children[-1].start_byte
        last = self.source.rfind(b"\n", 0, closing) + 1
        parts = self.parts(node.named_children, first, max(first, last), is_raw=True)
        if all(isinstance(part, str) for part in parts):
            return Literal(node.start_byte, node.end_byte, "".join(str(part) for part in parts))
        return Template(node.start_byte, node.end_byte, parts)


def _plain(found: re.Match[bytes]) -> Expr:
    """The value that one of the alternatives of `layout.PLAIN_VALUE` stands for."""
    kind = found.lastgroup or ""
    text = found[kind]
    start, end = found.span(kind)
    if kind == "string":
        return Literal(start, end, text[1:-1].decode(errors="replace"))
    if kind == "number":
        return Literal(start, end, _number(text.decode()))
    if kind == "word":
        return Literal(start, end, _WORDS[text])
    root, *names = text.decode().split(".")
    place = start + len(root)
    steps: list[Step] = []
    for name in names:
        steps.append(Step("attribute", name, None, place, place + 1 + len(name)))
        place += 1 + len(name)
    return Reference(start, end, root, tuple(steps))


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _unescape(text: str) -> str:
    r"""The value of quoted text.

    >>> _unescape('a\\n$${x}\\u0041')
    'a\n${x}A'
    """
    if "\\" not in text and "$${" not in text and "%%{" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        letter, short, long, marker = match.groups()
        if letter:
            return _ESCAPED[letter]
        return marker[0] if marker else chr(min(int(short or long, 16), 0x10FFFF))

    return _ESCAPE.sub(value, text)

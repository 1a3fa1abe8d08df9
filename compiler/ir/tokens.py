"""Tokens of the text forms of tensor IR and kernel IR, and where an error in them lies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from tensorkiln.runtime.errors import ParseError

# Deep enough for any kernel or function of ours, shallow enough for Python's stack.
MAX_NESTING = 80
_MAX_DIGITS = 40
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_ESCAPES = re.compile(
    r"""(?:[^\\]|\\["'\\ntr]|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8})*"""
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text.

    `kind` is "name", "number", "hex", "string" (its `text` is then the decoded string), "sigil"
    (a name behind `%` or `@`, decoded, with the sign), "sign" or "end".
    """

    kind: str
    text: str
    start: int


class Tokens:
    """Reads tokens one by one; every error is a ParseError with line and column.

    `sigils` are the characters that start a named thing (`%` in tensor IR, where no `%` is an
    operator).
    """

    def __init__(self, text: str, sigils: str) -> None:
        self._text = text
        self._pattern = re.compile(
            r"(?P<skip>(?:[ \t\r\n]+|\#[^\n]*)+)"
            rf"|(?P<sigil>[{sigils}](?:[\w.]+|{_STRING}))"
            r"|(?P<hex>0x[0-9a-fA-F]*)"
            r"|(?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
            r"|(?P<name>[A-Za-z_]\w*(?:\.\w+)*)"
            rf"|(?P<string>{_STRING})"
            r"|(?P<sign>->|\.\.\.|\.\.|//|<=|>=|==|!=|[-+*%/(){}\[\]<>,:=])",
            re.ASCII,
        )
        self._position = 0
        self._depth = 0
        self.token = self._scan()

    def advance(self) -> Token:
        """The current token; the next becomes current."""
        token = self.token
        self.token = self._scan()
        return token

    def at(self, text: str) -> bool:
        """True if the current token is the name or sign `text`."""
        return self.token.text == text and self.token.kind in ("name", "sign")

    def accept(self, text: str) -> bool:
        """Skips the name or sign `text` if it is the current token."""
        found = self.at(text)
        if found:
            self.advance()
        return found

    def expect(self, text: str) -> None:
        """Skips the name or sign `text`, which must be the current token."""
        if not self.accept(text):
            self.fail(f"expected {text!r}, found {self.found()}")

    def take(self, kind: str, what: str) -> Token:
        """The current token, which must be of `kind`; `what` names it in the error."""
        if self.token.kind != kind:
            self.fail(f"expected {what}, found {self.found()}")
        return self.advance()

    def integer(self, what: str = "an integer") -> int:
        """An integer literal with an optional minus sign."""
        negative = self.accept("-")
        token = self.take("number", what)
        if not token.text.isdigit():
            self.fail(f"expected {what}, found {token.text!r}", token)
        return -int(token.text) if negative else int(token.text)

    def nest(self) -> None:
        """Counts one level of nesting; `leave` ends it."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.fail(f"nested more than {MAX_NESTING} deep")

    def leave(self) -> None:
        """Ends a level of nesting."""
        self._depth -= 1

    def fail(self, message: str, token: Token | None = None) -> NoReturn:
        """Raises ParseError at `token` (the current one if None)."""
        start = (token or self.token).start
        line = self._text.count("\n", 0, start) + 1
        column = start - (self._text.rfind("\n", 0, start) + 1) + 1
        raise ParseError(f"line {line}, column {column}: {message}")

    def found(self) -> str:
        """The current token, for an error message."""
        return "the end of the text" if self.token.kind == "end" else repr(self.token.text[:40])

    def _scan(self) -> Token:
        match = self._pattern.match(self._text, self._position)
        if match is not None and match.lastgroup == "skip":
            self._position = match.end()
            match = self._pattern.match(self._text, self._position)
        start = self._position
        if match is None:
            if start < len(self._text):
                self.fail(f"unexpected {self._text[start]!r}", Token("end", "", start))
            return Token("end", "", start)
        self._position = match.end()
        return self._decoded(Token(match.lastgroup or "end", match.group(), start))

    def _decoded(self, token: Token) -> Token:
        if token.kind == "number" and len(token.text) > _MAX_DIGITS:
            self.fail("the number is too long", token)
        if token.kind == "string":
            return Token("string", self._unquote(token.text, token), token.start)
        if token.kind == "sigil" and token.text[1] == '"':
            return Token("sigil", token.text[0] + self._unquote(token.text[1:], token), token.start)
        return token

    def _unquote(self, quoted: str, token: Token) -> str:
        body = quoted[1:-1]
        if not body.isascii() or _ESCAPES.fullmatch(body) is None:
            self.fail(
                'a string holds ASCII and the escapes \\" \\\\ \\n \\r \\t \\x \\u \\U', token
            )
        try:
            return body.encode("ascii").decode("unicode_escape")
        except UnicodeDecodeError:
            self.fail("a string holds an escape that is no character", token)

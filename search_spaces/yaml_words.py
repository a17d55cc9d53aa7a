"""A YAML parser's error message -> rule and mend in plain words.

The parsers' own messages name their states ("block mapping", "simple key") and help nobody.
libyaml and PyYAML's own parser word them differently, and which one runs depends on how PyYAML
was built, so both stand here; the first entry whose words occur in the message counts.
"""

from __future__ import annotations

_INDENT = (
    "the indentation does not fit",
    "give the keys of one section the same indentation, in spaces",
)
_BRACKETS = (
    "a bracket is not closed, or a comma is missing",
    "check the brackets and commas of this line and those before it",
)
_VALUE = ("a value is missing here", "write a value, or remove the key")
_TAG = ("tags are not allowed", "remove the tag, or put text that begins with ! in quotes")
_ANCHOR = ("an anchor or alias is out of place", "put text that begins with & or * in quotes")
_ESCAPE = ("an unknown escape in double quotes", "double the backslash, or use single quotes")
_COLON = ("a key needs `: ` after it", "write `key: value`")
_LIST = ("a list item cannot stand here", "begin the list on its own line, each item with `- `")

_WORDS: tuple[tuple[str, tuple[str, str]], ...] = (
    ("cannot start any token", (
        "a value cannot begin with this character",
        "indent with spaces, not tabs; put text that begins with @ ` % | or > in quotes")),
    ("tab character", ("a tab stands where spaces should", "indent with spaces")),
    ("mapping values are not allowed", (
        "a `:` stands where no key is",
        "put text with a colon in quotes, or check the indentation")),
    ("could not find expected ':'", _COLON),
    ("found unexpected ':'", ("a `:` stands where no key is", "put text with a colon in quotes")),
    ("',' or '}'", _BRACKETS),
    ("',' or ']'", _BRACKETS),
    ("did not find expected key", _INDENT),
    ("'-' indicator", ("the indentation of the list does not fit",
                       "give the items of one list the same indentation")),
    ("sequence entries are not allowed", _LIST),
    ("node content", _VALUE),
    ("unexpected end of stream", ("a quote or bracket is not closed", "close it")),
    ("unexpected document indicator", (
        "a quote is not closed before the document's end", "close it")),
    ("escape", _ESCAPE),
    ("hexdecimal", _ESCAPE),
    ("block scalar", (
        "text cannot follow on the line of a `|` or `>`", "begin it on the next line")),
    ("tag", _TAG),
    ("anchor", _ANCHOR),
    ("alias", _ANCHOR),
    ("directive", ("YAML directives are not allowed", "remove the line that begins with %")),
    ("%YAML", ("YAML directives are not allowed", "remove the line that begins with %")),
    ("document start", ("keys and values do not fit together from here on",
                        "check the indentation of this line and the one before it")),
    ("block end", _INDENT),
    ("block mapping", _INDENT),
    ("block collection", _INDENT),
    ("simple key", _COLON),
)  # fmt: skip


def in_plain_words(message: str) -> tuple[str, str]:
    """Return rule and mend for a parser's message; something general for one that is unknown."""
    for words, said in _WORDS:
        if words in message:
            return said
    return "it does not fit together here", "check indentation, quotes and brackets around it"

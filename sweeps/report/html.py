"""`report.html`: the whole report in one file that loads nothing.

Decides nothing about content: sentences and numbers come with the report, drawings from `figures`,
rows from `page_tables`. Jinja2 escapes every string (drawings are the only `Markup`), and control
characters are written as escapes first, so that no name, error or log line can become part of the
page. A Content-Security-Policy stands before anything else: it forbids every request and every
script or style but the two whose digests it names.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from sweeps.report import illustrations, page_tables
from sweeps.report.illustrations_of_methods import figures_of
from sweeps.report.model import Report
from sweeps.report.wording import sentence
from sweeps.text import count, printable
from sweeps.views import METHOD_WORDS

_CODE = re.compile(r"`([^`\n]+)`")

MOST_FAILURES = 50
"""Failed trials whose log is shown."""


def html(report: Report) -> str:
    """Return the page.

    UTF-8 can hold it and no control character stands in it, whatever the report holds.
    """
    order = page_tables.ranked(report)
    numbers = {trial.key: i for i, trial in enumerate(order[: page_tables.MOST_EMBEDDED])}
    failed = page_tables.failures(report)
    methods = [
        {
            "method": method,
            "figures": list(figures_of(report, index, numbers)),
            "selected": page_tables.selected(method),
            "retrained": page_tables.retrained(method),
            "index": index,
        }
        for index, method in enumerate(report.methods)
    ]
    failures_of = sum(r.failures_of for m in report.methods for r in m.repetitions)
    style, script = _source("style.css"), _source("script.js")
    trials = page_tables.trials(report, order)
    return (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            style=style,
            script=script,
            policy=_policy(str(style), str(script)),
            budget=page_tables.budget(report),
            best_so_far=illustrations.best_so_far(report),
            final=page_tables.final(report),
            final_values=illustrations.final_values(report),
            pairs=page_tables.pairs(report.pairs) if report.pairs else None,
            differences=illustrations.differences(report),
            methods=methods,
            failures=failed[:MOST_FAILURES],
            failures_of=failures_of,
            failures_beside=failures_of - sum(m.counts.failed for m in report.methods),
            trials=trials,
            more=_data({"rows": trials.more}) if trials.more else None,
        )
    )


def _heading(label: str) -> str:
    """A method's words as a heading; a name that somebody gave stays as it is."""
    return sentence(label) if label.startswith(tuple(METHOD_WORDS.values())) else label


def _policy(style: str, script: str) -> str:
    """What the page may do: run this script, use this style, and nothing else."""

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(style)};"
        " img-src data:; base-uri 'none'; form-action 'none'"
    )


def _data(value: Any) -> Markup:
    """JSON that is safe inside a script element: it holds no `<`, `>` or `&`."""
    text = json.dumps(value, separators=(",", ":"), default=str)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _shown(value: Any) -> Any:
    """Strings on their way into the page: control characters and half surrogates as escapes."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return printable(value)


def _prose(text: str) -> Markup:
    """A sentence of the report's: what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(printable(text)))))


def _parts(text: str) -> Markup:
    """A heading whose parts up to each underscore may stand below each other on paper."""
    pieces = re.findall(r"[^_]*_+|[^_]+", printable(text))
    if len(pieces) < 2:
        return escape(printable(text))
    return Markup("").join(Markup('<span class="part">{}</span>').format(p) for p in pieces)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sweeps.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "count": count,
        "heading": _heading,
        "parts": _parts,
        "prose": _prose,
        "sentence": sentence,
    }
    return environment


@functools.cache
def _source(name: str) -> Markup:
    """A style sheet or script of ours, as it goes into the page."""
    environment = _environment()
    source, _, _ = environment.loader.get_source(environment, name)  # type: ignore[union-attr]
    return Markup("\n" + source.strip() + "\n")

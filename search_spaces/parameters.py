"""What is searched: each entry of `parameters` is a domain for a name that is known."""

from __future__ import annotations

from typing import Any

from search_spaces.domain_keys import read_domain
from search_spaces.errors import shown
from search_spaces.findings import Findings
from search_spaces.space import Space


def check_parameters(data: dict[str, Any], findings: Findings) -> Space:
    """Return the space of all entries that are right; the others are faults."""
    domains = {}
    entries = data.get("parameters")
    for name, raw in (entries if isinstance(entries, dict) else {}).items():
        path = ("parameters", name)
        if not isinstance(raw, dict):
            mend = f"write {{values: {shown(raw)}}}" if isinstance(raw, list) else ""
            mend = mend or f"write {{value: {shown(raw)}}}, or a range {{min: a, max: b}}"
            findings.fault(path, "must be a domain", mend=mend)
            continue
        domain, problems = read_domain(raw)
        for p in problems:
            findings.fault((*path, *p.path), p.rule, got=p.got, mend=p.mend, at_key=p.at_key)
        if domain is not None:
            domains[name] = domain
    return Space(domains)

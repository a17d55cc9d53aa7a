"""What is searched and what is constant: names that are known, domains and values that fit them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search_spaces.arguments import Objection, check_value, find, why_not_searched
from search_spaces.domain_keys import read_domain
from search_spaces.domains import (
    Choice,
    Constant,
    Domain,
    IntUniform,
    LogUniform,
    Quantized,
    Uniform,
    is_number,
)
from search_spaces.errors import shown
from search_spaces.findings import Findings
from search_spaces.installed_arguments import Argument
from search_spaces.mid_run import can_change, why_not
from search_spaces.space import Space
from search_spaces.tree import KeyPath


def check_parameters(data: dict[str, Any], findings: Findings) -> Space:
    """Return the space of all entries of `parameters` that are right; the others are faults."""
    domains: dict[str, Domain] = {}
    entries = data.get("parameters")
    for name, raw in (entries if isinstance(entries, dict) else {}).items():
        argument = find(name)
        domain = _read(name, raw, findings)
        if isinstance(argument, Objection):
            _object(findings, ("parameters", name), argument, at_key=True)
        elif domain is not None:
            _check_values(argument, domain, findings)
            _check_searched(name, domain, data.get("method"), findings)
            if not findings.is_bad("parameters", name):
                domains[name] = domain
    return Space(domains)


def check_training_arguments(data: dict[str, Any], findings: Findings) -> dict[str, Any]:
    """Return the constants of `training_arguments` that are right; the others are faults."""
    right = {}
    entries = data.get("training_arguments")
    for name, value in (entries if isinstance(entries, dict) else {}).items():
        path = ("training_arguments", name)
        argument = _constant(name)
        if isinstance(argument, Objection):
            _object(findings, path, argument, at_key=True)
        else:
            if (objection := check_value(argument, value)) is not None:
                _object(findings, path, objection)
            if not findings.is_bad(*path):
                right[name] = value
    return right


def _constant(name: str) -> Argument | Objection:
    if name == "seed":
        return Objection("is ours to set", "write seed at the top of the file, or search it")
    if name.startswith("task."):
        return Objection("is not a training argument", "write it in the task section")
    return find(name)


def _object(
    findings: Findings, path: KeyPath, objection: Objection, *, at_key: bool = False
) -> None:
    findings.fault(path, objection.rule, mend=objection.mend, at_key=at_key, sense=objection.sense)


def _read(name: str, raw: Any, findings: Findings) -> Domain | None:
    path = ("parameters", name)
    if not isinstance(raw, dict):
        if isinstance(raw, list):
            mend = f"write {{values: {shown(raw)}}}"
        else:
            mend = f"write {{value: {shown(raw)}}}, or a range {{min: a, max: b}}"
        findings.fault(path, "must be a domain", mend=mend)
        return None
    domain, problems = read_domain(raw)
    for p in problems:
        # A problem of the entry as a whole is shown at its name.
        at_key = p.at_key or not p.path
        quoted = ", ".join(f"{k} {findings.written((*path, k))}" for k in p.quotes)
        got = quoted or p.got
        findings.fault((*path, *p.path), p.rule, got=got, mend=p.mend, at_key=at_key)
    return domain


def _check_values(argument: Argument, domain: Domain, findings: Findings) -> None:
    path = ("parameters", argument.name)
    types = argument.types
    if isinstance(domain, Uniform | LogUniform) or (
        isinstance(domain, Quantized) and not isinstance(domain.q, int)
    ):
        if types and "float" not in types:
            _object(findings, path, _no_real_numbers(argument, domain), at_key=True)
            return
    elif isinstance(domain, IntUniform | Quantized) and types and not types & {"int", "float"}:
        rule, mend = "takes no numbers", "write {values: [...]}"
        findings.fault(path, rule, got="a range", mend=mend, at_key=True)
        return
    for key, value in _ends(domain):
        objection = check_value(argument, value)
        if objection is not None:
            _object(findings, (*path, *key), objection)


def _no_real_numbers(argument: Argument, domain: Domain) -> Objection:
    if not argument.types & {"int"}:
        return Objection("takes no numbers", "write {values: [...]}")
    if isinstance(domain, LogUniform | Quantized):
        kind = "q_log_uniform_values" if _is_log(domain) else "q_uniform"
        return Objection("takes whole numbers", f"write {{distribution: {kind}, ..., q: 1}}")
    return Objection("takes whole numbers", "write min and max as whole numbers: int_uniform")


def _is_log(domain: Domain) -> bool:
    return isinstance(domain, LogUniform) or (isinstance(domain, Quantized) and domain.log)


def _ends(domain: Domain) -> Iterator[tuple[KeyPath, Any]]:
    """Yield the values that a domain names, with the keys they stand under."""
    if isinstance(domain, Choice):
        for i, value in enumerate(domain.values):
            yield ("values", i), value
    elif isinstance(domain, Constant):
        yield ("value",), domain.value
    elif isinstance(domain, Uniform | LogUniform | IntUniform):
        yield ("min",), domain.low
        yield ("max",), domain.high
    elif isinstance(domain, Quantized):
        low, high = domain.clip(domain.low), domain.clip(domain.high)
        yield ("min",), low
        yield ("max",), high


def _check_searched(name: str, domain: Domain, method: Any, findings: Findings) -> None:
    path = ("parameters", name)
    if domain.is_constant:
        return
    if (why := why_not_searched(name)) is not None:
        mend = "write it in training_arguments"
        findings.fault(path, f"cannot be searched: it {why}", mend=mend, at_key=True)
    elif method == "pbt" and not can_change(name):
        findings.fault(
            path,
            f"cannot change in the middle of training, as pbt would: {why_not(name)}",
            mend="make it a constant, or use method random, bayes or grid",
            at_key=True,
        )


def numbers(domain: Domain) -> tuple[float, float] | None:
    """Return the lowest and highest number of a domain, None when it has other values."""
    values = [v for _, v in _ends(domain)]
    if not values or not all(is_number(v) for v in values):
        return None
    return min(values), max(values)

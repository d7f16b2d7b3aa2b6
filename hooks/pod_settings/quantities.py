"""Kubernetes quantities: their grammar, and one form for each value.

The API server stores ``1000m`` as ``1``. If the hook wrote ``1000m``, Metacontroller would write the Deployment with
every sync. Rules: apimachinery ``pkg/api/resource/quantity.go`` (grammar, canonical form).
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
# Go allows more digits, also in the exponent. The limits keep each value computable.
_NUMBER = r"[0-9]{1,64}(\.[0-9]{0,64})?|\.[0-9]{1,64}"
GRAMMAR = rf"\+?(?P<number>{_NUMBER})(?P<suffix>[KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]{{1,2}})?"
_PARTS = re.compile(GRAMMAR, re.ASCII)
_LARGEST = Fraction(2**63 - 1)


def parse(text: str) -> Fraction:
    """At most the largest integer of 64 bits, as in Go. ``ValueError`` for no quantity, and for a negative one."""
    parts = _PARTS.fullmatch(text)
    if not parts:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix = Fraction(f"0{parts['number']}"), parts["suffix"] or ""
    if suffix in _BINARY:
        return min(_LARGEST, number * Fraction(2 ** _BINARY[suffix]))
    power = _DECIMAL[suffix] if suffix in _DECIMAL else int(suffix[1:])
    return min(_LARGEST, number * Fraction(10**power) if power >= 0 else number / Fraction(10**-power))


def cpu_text(cores: Fraction) -> str:
    """Rounded up to thousandths, as the API server does for all resources of a container."""
    return decimal_text(ceil(cores * 1000))


def bytes_text(size: Fraction) -> str:
    """Rounded up to whole bytes, as the kubelet reads it. The shorter of ``1G`` and ``976562500Ki``."""
    whole = ceil(size)
    decimal, binary = decimal_text(whole * 1000), _binary_text(whole)
    return binary if binary and len(binary) <= len(decimal) else decimal


def decimal_text(thousandths: int) -> str:
    if thousandths == 0:
        return "0"
    exponent = -3
    while thousandths % 1000 == 0 and exponent < 18:
        thousandths, exponent = thousandths // 1000, exponent + 3
    return f"{thousandths}{next(suffix for suffix, power in _DECIMAL.items() if power == exponent)}"


def _binary_text(whole: int) -> str | None:
    """None where the API server writes a decimal number."""
    suffix = None
    for each in _BINARY:
        if whole < 1024 or whole % 1024:
            break
        whole, suffix = whole // 1024, each
    return f"{whole}{suffix}" if suffix else None

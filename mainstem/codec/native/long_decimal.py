"""Decimals of more digits than 64 bits hold, which the extension leaves to Python."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

_EXACT = Context(prec=2000, traps=[Inexact, InvalidOperation, Overflow])


def from_bytes(unscaled: bytes, scale: int, precision: int) -> Decimal:
    """The decimal of an unscaled number in two's complement; digits beyond `precision` are rounded, as by fastavro."""
    context = Context(prec=max(precision, 1))
    return context.create_decimal(int.from_bytes(unscaled, "big", signed=True)).scaleb(-scale, context)


def to_bytes(value: Decimal, scale: int, precision: int, size: int) -> bytes:
    """The unscaled number in `size` bytes, or for 0 in as few as hold it.

    Raises ValueError, ArithmeticError or OverflowError where digits would be cut or are too many.
    """
    number = int(value.scaleb(scale, _EXACT).to_integral_exact(context=_EXACT))
    if abs(number) >= 10**precision:
        raise ValueError
    return number.to_bytes(size or (abs(number).bit_length() + 8) // 8, "big", signed=True)

"""A set of numbers of arrivals that takes a bit for each, since it is kept for as long as a run lasts."""

from __future__ import annotations


class Seqs:
    """Numbers from 0 up."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, seq: int) -> None:
        """Put the number in."""
        byte = seq >> 3
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte + 1 - len(self._bits)))
        self._bits[byte] |= 1 << (seq & 7)

    def __contains__(self, seq: int) -> bool:
        byte = seq >> 3
        return byte < len(self._bits) and bool(self._bits[byte] >> (seq & 7) & 1)

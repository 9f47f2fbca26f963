"""The version of PyTorch whose interface this library has, which compares with strings and tuples of numbers."""

import re


class TorchVersion(str):
    """A version as a string; compared by its numbers, with a string or a tuple such as (2, 6)."""

    @staticmethod
    def _numbers(v):
        if isinstance(v, str):
            public = v.partition("+")[0]
            found = re.match(r"v?(\d+(?:\.\d+)*)", public)
            if found is None:
                return None
            rest = public[found.end():]
            numbers = [int(n) for n in found[1].split(".")]
            while numbers and not numbers[-1]:
                numbers.pop()
            return numbers, not re.match(r"\.?(a|b|rc|dev|alpha|beta)", rest)
        try:
            return TorchVersion._numbers(".".join(map(str, v)))
        except TypeError:
            return None

    def _compared(self, other, with_numbers, with_strings):
        mine, theirs = self._numbers(str(self)), self._numbers(other)
        if theirs is None:
            return with_strings(str(self), other)
        return with_numbers(mine, theirs)

    def __gt__(self, other):
        return self._compared(other, lambda a, b: a > b, str.__gt__)

    def __lt__(self, other):
        return self._compared(other, lambda a, b: a < b, str.__lt__)

    def __ge__(self, other):
        return self._compared(other, lambda a, b: a >= b, str.__ge__)

    def __le__(self, other):
        return self._compared(other, lambda a, b: a <= b, str.__le__)

    def __eq__(self, other):
        if isinstance(other, str) and "+" in other:
            return str.__eq__(self, other)
        return self._compared(other, lambda a, b: a == b, str.__eq__)

    def __ne__(self, other):
        return not self == other

    __hash__ = str.__hash__

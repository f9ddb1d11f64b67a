import dataclasses
from typing import ClassVar


@dataclasses.dataclass(frozen=True)
class Distortion:
    """What the distortions of the registry have in common.

    The first field of each says how strong it is.

    Attributes:
        kind: Name in the registry.
        whole: Whether the first field is a whole number.
    """

    kind: ClassVar[str]
    whole: ClassVar[bool] = False

    @property
    def short_form(self):
        """What `parse_distortion` makes it from, such as `"awgn:15"`."""
        number = self._number
        rounded = f"{number:g}"
        return f"{self.kind}:{rounded if float(rounded) == number else repr(number)}"

    @property
    def severity(self):
        """A number that is larger for stronger distortions of the same kind."""
        return self._number

    @property
    def _number(self):
        return getattr(self, dataclasses.fields(self)[0].name)

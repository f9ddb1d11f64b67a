import dataclasses
from typing import ClassVar

from kerasft.distortions.pixels import validate_range
from kerasft.whole_number import validate_count


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

    def __post_init__(self):
        # Here and not by the first batch, which may come after much work.
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        validate_range(values["value_range"])
        if "seed" in values:
            validate_count(values["seed"], "seed")

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

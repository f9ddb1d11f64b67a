import dataclasses
from collections.abc import Callable

from kerasft.methods.outcome import Outcome
from kerasft.methods.problem import Problem


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to make a classifier better on bad images.

    Attributes:
        name: A few words, unique among the methods that are compared.
        apply: Function from a `Problem` and a seed to an `Outcome`. Same seed,
            same result.
        needs_labels: Whether it needs labels of distorted images.
        reason_against: Function from a `Problem` to one sentence that says why
            the method cannot be used on it, such as a model without batch
            normalization, or to `None`.
    """

    name: str
    apply: Callable[[Problem, int], Outcome]
    needs_labels: bool
    reason_against: Callable[[Problem], str | None]

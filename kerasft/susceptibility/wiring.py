"""What takes the output of a layer, through nested models."""

import itertools
import warnings
from typing import Any

import keras

from kerasft.rebuild import is_wired_by_keras

# A place outside of a model, in one that is wired in its own `call`.
_UNKNOWN = None


class Wiring:
    """How a Functional or Sequential model, or one with such inside, is wired.

    A place is one call of a layer or operation: a tuple of steps `(model, name,
    call)` from the model itself through nested models, each the number of a
    call of what goes by the name in that model. Reads each model once.

    Args:
        model: A `keras.Model`.
    """

    def __init__(self, model):
        self.model = model
        self._plans = {}

    def places(self, layer):
        """Every place where the model calls a layer.

        Raises:
            ValueError: One is in a model that is wired in its own `call`.
        """
        return list(self._places(layer, self.model, ()))

    def operation(self, place):
        """The layer, or operation such as `keras.ops.relu`, that is called at a place."""
        model, name, _ = place[-1]
        return self._plan(model).operations[name]

    def takers(self, place, output=0):
        """The places that take an output of a place.

        Args:
            place: The place.
            output: Which of its outputs.

        Returns:
            List of places, those that take it more than once as often; the
            outputs of the whole model are none.

        Raises:
            ValueError: It leaves for a model that is wired in its own `call`.
        """
        *above, (model, name, call) = place
        plan, takers = self._plan(model), []
        for taker in plan.takers.get((name, call, output), ()):
            taken = (*above, (model, *taker))
            inner = self.operation(taken)
            if is_wired_by_keras(inner) and len(inner.inputs) == 1:
                takers += self.takers((*taken, (inner, self._plan(inner).input_name, 0)))
            else:
                takers.append(taken)
        for position, value in enumerate(plan.outputs if above else ()):
            if value == (name, call, output):
                if above[-1] is _UNKNOWN:
                    raise _not_wired(self.model)
                takers += self.takers(tuple(above), position)
        return takers

    def _places(self, layer, model, above):
        if not is_wired_by_keras(model):
            if any(part is layer for part in model.layers):
                raise _not_wired(model)
            steps: list[tuple[Any, Any]] = [(part, _UNKNOWN) for part in model.layers]
        else:
            plan = self._plan(model)
            steps = [
                (operation, (model, name, call))
                for name, operation in plan.operations.items()
                for call in range(plan.calls[name])
            ]
        for operation, step in steps:
            if operation is layer:
                yield (*above, step)
            elif isinstance(operation, keras.Model):
                yield from self._places(layer, operation, (*above, step))

    def _plan(self, model):
        if id(model) not in self._plans:
            self._plans[id(model)] = _Plan(model)
        return self._plans[id(model)]


class _Plan:
    """The wiring of one model, without that of models in it.

    Attributes:
        operations: Dictionary from name to layer or operation.
        calls: Dictionary from name to the number of calls.
        takers: Dictionary from `(name, call, output)` to a list of `(name,
            call)`.
        input_name: The name that the (first) input goes by.
        outputs: The outputs of the model, each `(name, call, output)`.
    """

    def __init__(self, model):
        self.takers = {}
        if isinstance(model, keras.Sequential):
            # Its input is no layer in public; no name is empty.
            names = ["", *(layer.name for layer in model.layers)]
            self.operations = {layer.name: layer for layer in model.layers}
            self.calls = dict.fromkeys(self.operations, 1)
            for name, taker in itertools.pairwise(names):
                self.takers[name, 0, 0] = [(taker, 0)]
            self.input_name = ""
            self.outputs = [(names[-1], 0, 0)]
            return
        self.operations = {operation.name: operation for operation in model.operations}
        # The configuration is Keras's public description of the wiring; the
        # model's own may be of another kind, where its class is a user's.
        plain = keras.Model(model.inputs, model.outputs, name=model.name)
        with warnings.catch_warnings():
            # Meant for files.
            warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
            config = plain.get_config()
        self.calls = {part["name"]: len(part["inbound_nodes"]) for part in config["layers"]}
        for part in config["layers"]:
            for call, arguments in enumerate(part["inbound_nodes"]):
                self._visit(arguments, (part["name"], call))
        self.input_name = config["input_layers"][0][0]
        # There, and only there, Keras counts the calls of Functional models from 1.
        self.outputs = [
            (name, call - _is_functional(self.operations[name]), output)
            for name, call, output in config["output_layers"]
        ]

    def _visit(self, value, taker):
        if isinstance(value, dict):
            if "keras_history" in value:
                self.takers.setdefault(tuple(value["keras_history"]), []).append(taker)
            for item in value.values():
                self._visit(item, taker)
        elif isinstance(value, (list, tuple)):
            for item in value:
                self._visit(item, taker)


def _is_functional(operation):
    return is_wired_by_keras(operation) and not isinstance(operation, keras.Sequential)


def _not_wired(model):
    return ValueError(
        "Expected a Functional or Sequential model, whose activations can be told. "
        f"Received: {model.name!r}, a {type(model).__name__}."
    )

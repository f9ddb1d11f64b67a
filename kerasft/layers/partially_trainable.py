import contextlib
from typing import Any

import keras
import numpy as np
from keras import ops

from kerasft.layers.filter_indices import validate_filters
from kerasft.layers.kernel_gradient import kernel_gradient
from kerasft.layers.live_config import live_config


class PartiallyTrainable(keras.Layer):
    """What makes some filters of a convolution trainable and keeps the rest from changing.

    A mixin for Keras convolutions whose kernel has its filters on the last
    axis, whatever the number of their spatial dimensions. It stands before the
    convolution among the bases: `class PartiallyTrainableConv2D(
    PartiallyTrainable, keras.layers.Conv2D)`.

    Attributes:
        conv_class: The plain convolution, to be set by the class.
        trainable_filters: Sorted tuple of integers.
        kernel: The assembled kernel, in the original filter order.
        bias: The assembled bias, `(filters,)`, or `None`.
    """

    conv_class: Any

    def __init__(self, filters, kernel_size, trainable_filters=(), **conv_arguments):
        super().__init__(filters, kernel_size, **conv_arguments)
        if self.lora_rank:
            raise ValueError(
                f"Expected a {type(self).__name__} without LoRA. "
                f"Received: lora_rank={self.lora_rank}."
            )
        self.trainable_filters = validate_filters(trainable_filters, filters)
        frozen = sorted(set(range(filters)) - set(self.trainable_filters))
        self._is_mixed = bool(self.trainable_filters) and bool(frozen)
        # Where each filter stands once the two parts are put side by side.
        self._positions = np.argsort(
            np.asarray([*self.trainable_filters, *frozen]), kind="stable"
        ).astype("int32")

    def build(self, input_shape):
        channels = input_shape[-1 if self.data_format == "channels_last" else 1]
        if channels is None or channels % self.groups != 0:
            raise ValueError(
                f"Expected a defined number of input channels, a multiple of groups={self.groups}. "
                f"Received: input shape {tuple(input_shape)}."
            )
        axis = -1 if self.data_format == "channels_last" else 1
        self.input_spec = keras.InputSpec(min_ndim=self.rank + 2, axes={axis: channels})
        # Refuses inputs smaller than the kernel.
        self.compute_output_shape(input_shape)
        self._trainable_kernel, self._frozen_kernel = self._add_split_weight(
            "kernel",
            (*self.kernel_size, channels // self.groups, self.filters),
            self.kernel_initializer,
            self.kernel_regularizer,
            self.kernel_constraint,
        )
        if self.use_bias:
            self._trainable_bias, self._frozen_bias = self._add_split_weight(
                "bias",
                (self.filters,),
                self.bias_initializer,
                self.bias_regularizer,
                self.bias_constraint,
            )
        self.built = True

    def _add_split_weight(self, name, shape, initializer, regularizer, constraint):
        # `None` is Keras's default.
        initializer = initializer or keras.initializers.GlorotUniform()

        # Each part is cut from the whole draw, so a seed gives every filter the
        # values it has in the plain layer.
        def slices_of(filters):
            indices = np.asarray(filters, "int32")
            return lambda _, dtype: ops.take(initializer(shape, dtype=dtype), indices, axis=-1)

        frozen = [i for i in range(self.filters) if i not in self.trainable_filters]
        trainable_part = frozen_part = None
        if self.trainable_filters:
            trainable_part = self.add_weight(
                name=name,
                shape=(*shape[:-1], len(self.trainable_filters)),
                initializer=slices_of(self.trainable_filters),
                regularizer=regularizer,
                constraint=constraint,
            )
        if frozen:
            frozen_part = self.add_weight(
                name=f"frozen_{name}",
                shape=(*shape[:-1], len(frozen)),
                initializer=slices_of(frozen),
                trainable=False,
            )
        return trainable_part, frozen_part

    def _assemble(self, trainable_part, frozen_part):
        parts = [part for part in (trainable_part, frozen_part) if part is not None]
        if len(parts) == 1:
            return parts[0]
        return ops.take(ops.concatenate(parts, axis=-1), self._positions, axis=-1)

    @property
    def kernel(self):
        if not self.built:
            raise AttributeError("You must build the layer before accessing `kernel`.")
        return self._assemble(self._trainable_kernel, self._frozen_kernel)

    @property
    def bias(self):
        if not self.built:
            raise AttributeError("You must build the layer before accessing `bias`.")
        if not self.use_bias:
            return None
        return self._assemble(self._trainable_bias, self._frozen_bias)

    def call(self, inputs):
        # All or no filters trainable: plain differentiation is already right
        # and computes nothing in vain.
        wrap = ops.stop_gradient if self._is_mixed else (lambda tensor: tensor)
        outputs = self.convolution_op(inputs, wrap(self.kernel))
        if self.use_bias:
            shape = [1] * (self.rank + 2)
            shape[self._channel_axis] = self.filters
            outputs = ops.add(outputs, ops.reshape(wrap(self.bias), shape))
        if self._is_mixed:
            outputs = self._attach_gradient(outputs, inputs)
        if self.activation is not None:
            return self.activation(outputs)
        return outputs

    @property
    def _channel_axis(self):
        return self.rank + 1 if self.data_format == "channels_last" else 1

    def _attach_gradient(self, outputs, inputs):
        """Identity in the forward pass; sends the weight gradient to the trainable part.

        The convolution itself sees its kernel as a constant, so the backend
        differentiates it for the inputs, and only where those need it. What
        is missing is the gradient of the trainable slices: computed here from
        the channels of the upstream gradient that belong to them.
        """
        axis = self._channel_axis
        filters = np.asarray(self.trainable_filters, "int32")
        # Copies, since a Keras variable passes for a tensor in
        # `convert_to_tensor` but not in TensorFlow's custom gradients.
        weights = [ops.copy(self._trainable_kernel)]
        if self.use_bias:
            weights.append(ops.copy(self._trainable_bias))

        @ops.custom_gradient
        def attach(outputs, inputs, *weights):
            def gradient(*args, upstream=None):
                # JAX and TensorFlow pass the upstream gradient alone; PyTorch
                # passes the arguments first and the upstream by name.
                upstream = args[0] if upstream is None else upstream
                selected = ops.take(upstream, filters, axis=axis)
                gradients = [self._kernel_gradient(inputs, weights[0], selected)]
                if self.use_bias:
                    other_axes = [i for i in range(self.rank + 2) if i != axis]
                    gradients.append(ops.sum(selected, axis=other_axes))
                return (upstream, ops.zeros_like(inputs), *gradients)

            return outputs, gradient

        return attach(outputs, ops.stop_gradient(inputs), *weights)

    def _kernel_gradient(self, inputs, kernel, upstream):
        if self.groups == 1:
            return kernel_gradient(
                lambda kernel: self.convolution_op(inputs, kernel), kernel, upstream
            )
        # A grouped convolution needs as many filters in each group; the
        # trainable ones are spread as the ranking wants, so group by group.
        axis = self._channel_axis
        filters_per_group = self.filters // self.groups
        channels_per_group = inputs.shape[axis] // self.groups
        gradients = []
        groups = np.asarray(self.trainable_filters) // filters_per_group
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group).astype("int32")
            channels = np.arange(channels_per_group, dtype="int32") + np.int32(
                group * channels_per_group
            )
            group_inputs = ops.take(inputs, channels, axis=axis)
            gradients.append(
                kernel_gradient(
                    lambda kernel, group_inputs=group_inputs: self.convolution_op(
                        group_inputs, kernel
                    ),
                    ops.take(kernel, members, axis=-1),
                    ops.take(upstream, members, axis=axis),
                )
            )
        return ops.concatenate(gradients, axis=-1)

    @classmethod
    def from_conv(cls, conv, trainable_filters):
        """Make a partially trainable copy of a built plain convolution.

        Args:
            conv: The layer; it is not changed. If it is not built, neither is
                the copy.
            trainable_filters: Indices of the filters to train.

        Returns:
            A layer of this class with the same name, weights and dtype policy.

        Raises:
            TypeError: `conv` is not exactly the plain convolution of this class.
            ValueError: LoRA or quantization is enabled on it, or its
                activation has weights; an index out of range or repeated.
        """
        plain = cls.conv_class.__name__
        if type(conv) is not cls.conv_class:
            raise TypeError(
                f"Expected a keras.layers.{plain}. Received: layer "
                f"{getattr(conv, 'name', conv)!r} of class {type(conv).__name__}."
            )
        if conv.lora_enabled or conv.dtype_policy.quantization_mode is not None:
            raise ValueError(
                f"Expected a {plain} without LoRA and without quantization. Received: layer "
                f"{conv.name!r} with one of them. Load its weights into a plain model first."
            )
        if getattr(conv.activation, "weights", None):
            raise ValueError(
                f"Expected a {plain} whose activation has no weights. Received: layer "
                f"{conv.name!r} with {type(conv.activation).__name__}; make the activation a "
                "layer of its own."
            )
        # Checked here too, for an error without Keras's dump of the configuration.
        filters = validate_filters(trainable_filters, conv.filters)
        layer = cls.from_config({**live_config(conv), "trainable_filters": list(filters)})
        if conv.built:
            _build_like(conv, layer)
            layer._assign(conv.kernel, conv.bias)
        return layer

    def to_conv(self):
        """Make a plain convolution of the same name, weights and dtype policy.

        Returns:
            A new layer, built if this layer is.
        """
        config = live_config(self)
        del config["trainable_filters"]
        conv = self.conv_class.from_config(config)
        if self.built:
            _build_like(self, conv)
            store = {}
            self.save_own_variables(store)
            conv.load_own_variables(store)
        return conv

    def enable_lora(self, *args, **kwargs):
        raise ValueError(
            f"Expected a plain {self.conv_class.__name__} to enable LoRA on. Received: "
            f"{type(self).__name__} {self.name!r}; merge the model first."
        )

    # Weight files hold the assembled kernel and bias, as those of Keras do,
    # so a file fits whatever filters the layer it is loaded into trains.

    def save_own_variables(self, store):
        if not self.built:
            return
        store["0"] = self.kernel
        if self.use_bias:
            store["1"] = self.bias

    def load_own_variables(self, store):
        if not self.built:
            raise ValueError(
                f"Expected a built layer to load weights into. Received: {self.name!r}, whose "
                "input shape is not known."
            )
        expected = [tuple(self.kernel.shape)]
        if self.use_bias:
            expected.append((self.filters,))
        received = [tuple(store[key].shape) for key in sorted(store.keys())]
        if received != expected:
            raise ValueError(
                f"Expected weights of shapes {expected} for layer {self.name!r}. "
                f"Received: {received}."
            )
        self._assign(store["0"], store["1"] if self.use_bias else None)

    def _assign(self, kernel, bias):
        filters = np.asarray(self.trainable_filters, "int32")
        frozen = np.setdiff1d(np.arange(self.filters), filters)
        parts = [(self._trainable_kernel, kernel, filters), (self._frozen_kernel, kernel, frozen)]
        if self.use_bias:
            parts += [(self._trainable_bias, bias, filters), (self._frozen_bias, bias, frozen)]
        for variable, whole, indices in parts:
            if variable is not None:
                variable.assign(ops.convert_to_numpy(whole)[..., indices])

    def get_config(self):
        # Plain integers: NumPy's are not JSON.
        return {**super().get_config(), "trainable_filters": list(self.trainable_filters)}


def _build_like(source, layer):
    """Build a layer for the inputs of another, its variables under the same paths."""
    with contextlib.ExitStack() as scopes:
        for name in source.path.split("/")[:-1]:
            scopes.enter_context(keras.name_scope(name))
        layer.build_from_config(source.get_build_config())

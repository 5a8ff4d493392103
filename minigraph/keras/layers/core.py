"""The layers of dense networks, with Keras's arguments, defaults and weight order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras import activations, constraints, initializers, regularizers
from minigraph.keras.arguments import refuse_unsupported
from minigraph.keras.layer import InputSpec, Layer
from minigraph.keras.random import SeedGenerator
from minigraph.keras.symbolic import KerasTensor, LayerCall


class InputLayer(Layer):
    """Where a model's data comes in; made by `Input`."""

    is_input = True

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype=None,
        sparse=None,
        ragged=None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor=None,
        optional: bool = False,
        name: str | None = None,
        **kwargs,
    ):
        refuse_unsupported(
            "Input",
            sparse=(sparse or None, None),
            ragged=(ragged or None, None),
            input_tensor=(input_tensor, None),
            optional=(optional, False),
        )
        super().__init__(name=name, dtype=dtype, **kwargs)
        if (shape is None) == (batch_shape is None):
            raise InvalidArgumentError(
                "Input: give either shape or batch_shape",
                where="keras.Input",
                got=f"shape={shape}, batch_shape={batch_shape}",
                wanted="for example Input(shape=(784,)): the size of one sample, without the batch",
                fix="Input(shape=x.shape[1:])",
            )
        if batch_shape is None:
            if isinstance(shape, int):
                raise ShapeError(
                    "Input: shape must be a tuple",
                    where="keras.Input",
                    got=repr(shape),
                    wanted=f"({shape},)",
                    fix=f"Input(shape=({shape},)): the comma makes it a tuple",
                )
            batch_shape = (batch_size, *tuple(shape))
        if any(n is not None and (not isinstance(n, int) or n < 0) for n in batch_shape):
            raise ShapeError(
                "Input: sizes are whole numbers or None",
                where="keras.Input",
                got=str(batch_shape),
                wanted="for example (28, 28, 1)",
                fix="check the shape",
            )
        self.batch_shape = tuple(batch_shape)
        self.built = True
        call = LayerCall(self, (), {})
        tensor = KerasTensor(self.batch_shape, self.dtype, name=name, call=call)
        call.outputs, call.structure = [tensor], tensor
        self.calls.append(call)

    def call(self):
        raise InvalidArgumentError(
            "an InputLayer is not called",
            where=f"layer {self.name!r}",
            fix="call the next layer on keras.Input(...)",
        )

    def get_config(self):
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": False,
        }


def Input(
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype=None,
    sparse=None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor=None,
    optional: bool = False,
    ragged=None,
) -> KerasTensor:
    """A KerasTensor that stands for a model's input.

    Args:
        shape: the shape of one sample, without the batch axis.

    >>> from minigraph import keras
    >>> keras.Input(shape=(784,)).shape
    (None, 784)
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        input_tensor=tensor,
        optional=optional,
        name=name,
    )
    return layer.output


class Dense(Layer):
    """output = activation(input · kernel + bias)

    Args:
        units: size of the output's last axis.
        activation: name or function; none (linear) by default.

    Weights: kernel (I, U), bias (U,). Input (N, …, I), output (N, …, U).
    """

    def __init__(
        self,
        units: int,
        activation=None,
        use_bias: bool = True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        lora_rank=None,
        lora_alpha=None,
        quantization_config=None,
        **kwargs,
    ):
        refuse_unsupported(
            "Dense",
            lora_rank=(lora_rank, None),
            lora_alpha=(lora_alpha, None),
            quantization_config=(quantization_config, None),
        )
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if not isinstance(units, int) or isinstance(units, bool) or units <= 0:
            raise InvalidArgumentError(
                "Dense: units is a positive whole number",
                where=f"layer {self.name!r}",
                got=repr(units),
                wanted="for example 128",
                fix="check the first argument",
            )
        self.units, self.use_bias = units, use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape):
        inputs = input_shape[-1]
        self.kernel = self.add_weight(
            (inputs, self.units),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = (
            self.add_weight(
                (self.units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            if self.use_bias
            else None
        )
        self.input_spec = InputSpec(min_ndim=2, axes={-1: inputs})

    def call(self, inputs, training=None):
        outputs = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            outputs = ops.bias_add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class Activation(Layer):
    """output = activation(input)"""

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs):
        return self.activation(inputs)

    def get_config(self):
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Dropout(Layer):
    """In training, sets a fraction `rate` of the inputs to 0 and scales the rest by 1 / (1 − rate); else the
    identity.

    Each training step draws a new mask, the same one Keras draws from the same seed.

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    """

    def __init__(self, rate: float, noise_shape: Sequence[int | None] | None = None, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(rate, (int, float)) or isinstance(rate, bool) or not 0 <= rate <= 1:
            raise InvalidArgumentError(
                "Dropout: rate is a number from 0 to 1",
                where=f"layer {self.name!r}",
                got=repr(rate),
                wanted="0 <= rate <= 1",
                fix="0.2 drops 20 % of the inputs",
            )
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)
        self.built = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            return ops.zeros_like(inputs)
        return ops.stateless_dropout(
            inputs, self.rate, self.seed_generator.next(), noise_shape=self.noise_shape
        )

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


class Flatten(Layer):
    """(N, …) → (N, product of …)"""

    def __init__(self, data_format: str | None = None, **kwargs):
        super().__init__(**kwargs)
        refuse_unsupported("Flatten", data_format=(data_format or "channels_last", "channels_last"))
        self.data_format = data_format or "channels_last"
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs):
        size = 1
        for n in inputs.shape[1:]:
            size = None if size is None or n is None else size * n
        if size is None:
            return ops.reshape(inputs, ops.stack([ops.shape(inputs)[0], -1]))
        return ops.reshape(inputs, (-1 if inputs.shape[0] is None else inputs.shape[0], size))

    def get_config(self):
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """(N, …) → (N, *target_shape); one size may be −1"""

    def __init__(self, target_shape: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if sum(n == -1 for n in self.target_shape) > 1:
            raise ShapeError(
                "Reshape: only one size may be -1",
                where=f"layer {self.name!r}",
                got=str(self.target_shape),
                wanted="at most one -1",
                fix="give the other sizes",
            )

    def build(self, input_shape):
        sizes = input_shape[1:]
        if None in sizes:
            return
        count, wanted = 1, 1
        for n in sizes:
            count *= n
        for n in self.target_shape:
            wanted *= 1 if n == -1 else n
        if (count != wanted) if -1 not in self.target_shape else (wanted == 0 or count % wanted):
            raise ShapeError(
                "Reshape: the sizes do not multiply to the same number",
                where=f"layer {self.name!r}",
                got=f"{tuple(sizes)}: {count} numbers per sample",
                wanted=f"{self.target_shape}: {wanted}",
                fix="the batch axis is not part of target_shape",
            )

    def call(self, inputs):
        target = self.target_shape
        if -1 in target and None not in inputs.shape[1:]:
            count, known = 1, 1
            for n in inputs.shape[1:]:
                count *= n
            for n in target:
                known *= 1 if n == -1 else n
            target = tuple(count // known if n == -1 else n for n in target)
        return ops.reshape(inputs, (-1 if -1 not in target else ops.shape(inputs)[0], *target))

    def get_config(self):
        return {**super().get_config(), "target_shape": self.target_shape}


class Rescaling(Layer):
    """output = input · scale + offset"""

    def __init__(self, scale, offset=0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def call(self, inputs):
        dtype = as_dtype(self.dtype)
        inputs = ops.cast(inputs, dtype)
        return inputs * ops.cast(self.scale, dtype) + ops.cast(self.offset, dtype)

    def get_config(self):
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


class Lambda(Layer):
    """output = function(input): any function of tensors as a layer, without weights

    Args:
        output_shape: accepted; the shape is worked out from the function.
        arguments: passed to the function by name.
    """

    def __init__(
        self, function: Callable, output_shape=None, mask=None, arguments: dict | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        refuse_unsupported("Lambda", mask=(mask, None))
        self.function, self.arguments = function, arguments or {}

    def call(self, inputs):
        return self.function(inputs, **self.arguments)

    def get_config(self):
        raise UnsupportedError(
            "a Lambda layer cannot be saved: its function is Python code",
            where=f"layer {self.name!r}",
            fix="write a Layer subclass instead",
        )


def _several(layer: Layer, inputs: Any) -> list:
    """The inputs of a layer that joins at least two."""
    if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
        raise InvalidArgumentError(
            f"{type(layer).__name__} joins a list of at least 2 inputs",
            where=f"layer {layer.name!r}",
            got=f"a list of {len(inputs)}"
            if isinstance(inputs, (list, tuple))
            else f"one tensor of shape {inputs.shape}",
            wanted="a list of tensors",
            fix=f"{type(layer).__name__}()([a, b])",
        )
    return list(inputs)


class _Merge(Layer):
    """Base of layers that combine a list of inputs element by element."""

    def call(self, inputs):
        first, *others = _several(self, inputs)
        out = first
        for item in others:
            out = self.merge(out, item)
        return self.finish(out, len(inputs))

    def finish(self, out, count: int):
        return out


class Add(_Merge):
    """output = a + b + …"""

    def merge(self, a, b):
        return a + b


class Subtract(_Merge):
    """output = a − b"""

    def merge(self, a, b):
        return a - b


class Multiply(_Merge):
    """output = a · b · …"""

    def merge(self, a, b):
        return a * b


class Average(_Merge):
    """output = (a + b + …) / count"""

    def merge(self, a, b):
        return a + b

    def finish(self, out, count):
        return out / count


class Maximum(_Merge):
    """output = max(a, b, …)"""

    def merge(self, a, b):
        return ops.maximum(a, b)


class Minimum(_Merge):
    """output = min(a, b, …)"""

    def merge(self, a, b):
        return ops.minimum(a, b)


class Concatenate(Layer):
    """Inputs joined along `axis`."""

    def __init__(self, axis: int = -1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs):
        return ops.concat(_several(self, inputs), self.axis)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class ReLU(Layer):
    """f(x) = max_value for x ≥ max_value, x for threshold ≤ x < max_value, negative_slope · (x − threshold)
    below"""

    def __init__(self, max_value=None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold
        self.built = True

    def call(self, inputs):
        return activations.relu(
            inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold
        )

    def get_config(self):
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(Layer):
    """f(x) = x for x ≥ 0, negative_slope · x below"""

    def __init__(self, negative_slope: float = 0.3, **kwargs):
        super().__init__(**kwargs)
        self.negative_slope = negative_slope
        self.built = True

    def call(self, inputs):
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self):
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(Layer):
    """f(x) = x for x ≥ 0, alpha · (eˣ − 1) below"""

    def __init__(self, alpha: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.built = True

    def call(self, inputs):
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(Layer):
    """softmax along `axis`"""

    def __init__(self, axis: int = -1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.built = True

    def call(self, inputs):
        return activations.softmax(inputs, axis=self.axis)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class Identity(Layer):
    """output = input"""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs):
        return inputs

"""The layers of dense networks, with Keras's arguments, defaults and weight order."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.errors import InvalidArgumentError, ShapeError, UnsupportedError
from minigraph.keras import activations, constraints, initializers, regularizers
from minigraph.keras.arguments import refuse_unsupported
from minigraph.keras.layer import InputSpec, Layer
from minigraph.keras.masking import beside_channels, either, get_mask, has_mask, masks_of
from minigraph.keras.random import SeedGenerator
from minigraph.keras.symbolic import KerasTensor, LayerCall
from minigraph.ops.linear import weighable


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
        # Older Keras's names for the two.
        shape = kwargs.pop("input_shape", shape)
        batch_shape = kwargs.pop("batch_input_shape", batch_shape)
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
            batch_shape = (batch_size, *(shape or ()))
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

    supports_masking = True

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
        outputs = ops.matmul(weighable(inputs, self.kernel), self.kernel)
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

    supports_masking = True

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

    supports_masking = True

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
        size: int | None = 1
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

    supports_masking = True

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
        mask: the mask of the output: a tensor, or a function of (inputs, mask). Without it a mask of the
            input ends here.
        arguments: passed to the function by name. A function with an argument `mask` or `training` is given
            that of the call.
    """

    def __init__(
        self, function: Callable, output_shape=None, mask=None, arguments: dict | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.function, self.arguments, self.mask = function, arguments or {}, mask
        self.supports_masking = mask is not None
        # As Keras looks: at the function's own arguments, not at those that **kwargs would take.
        self._expected = {"mask", "training"} & set(inspect.getfullargspec(function).args)

    def call(self, inputs, mask=None, training=None):
        given = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: given[name] for name in self._expected})

    def compute_mask(self, inputs, previous_mask=None):
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

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
    """Base of layers that combine a list of inputs element by element.

    A step of the output counts where it counts in any of the inputs; without a mask on each of them all do.
    """

    def compute_mask(self, inputs, previous_mask=None):
        return None if previous_mask is None else either(previous_mask)

    def call(self, inputs):
        first, *others = _several(self, inputs)
        out = first
        for item in others:
            out = self.merge(out, item)
        return self.finish(out, len(inputs))

    def merge(self, a, b):
        """Two of the inputs combined."""
        raise NotImplementedError(f"{type(self).__name__} does not say how two inputs are combined")

    def finish(self, out, count: int):
        """What is made of all inputs combined."""
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
    """output = a · b · …

    Where an input's mask leaves a step out, the other inputs' numbers stand there alone; where all do, zeros.
    """

    def call(self, inputs):
        inputs = _several(self, inputs)
        masks = [None if m is None else beside_channels(m, x) for m, x in zip(masks_of(inputs), inputs,
                                                                            strict=True)]
        out = super().call([x if m is None else ops.where(m, x, ops.ones_like(x))
                            for m, x in zip(masks, inputs, strict=True)])
        counts = either(masks)
        return out if counts is None else ops.where(counts, out, ops.zeros_like(out))

    def merge(self, a, b):
        return a * b


class Average(_Merge):
    """output = (a + b + …) / count"""

    def merge(self, a, b):
        return a + b

    def finish(self, out, count):
        return out / count


class _Extreme(_Merge):
    """Base of maximum and minimum, to which steps that a mask leaves out add nothing."""

    def call(self, inputs):
        first, *others = _several(self, inputs)
        out, counts = first, _spread(first)
        for x in others:
            mask = _spread(x)
            if mask is not None:
                x = ops.where(mask, x, out)
            if counts is not None:
                out = ops.where(counts, out, x)
            counts = either([counts, mask])
            out = self.merge(out, x)
        return out


def _spread(x):
    """The mask of x (N, T, C) as one truth value per element, or None."""
    mask = get_mask(x)
    return None if mask is None else beside_channels(mask, x)


class Maximum(_Extreme):
    """output = max(a, b, …)"""

    def merge(self, a, b):
        return ops.maximum(a, b)


class Minimum(_Extreme):
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

    def compute_mask(self, inputs, previous_mask=None):
        """True for a step where any number of the joined masks is."""
        if previous_mask is None or not has_mask(previous_mask):
            return None
        from minigraph.keras import ops as keras_ops

        masks = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            if mask is None:
                mask = keras_ops.ones_like(x, dtype="bool")
            elif len(mask.shape) < len(x.shape):
                column = keras_ops.expand_dims(mask, -1)
                mask = keras_ops.logical_or(column, keras_ops.zeros_like(x, dtype="bool"))
            masks.append(mask)
        return keras_ops.any(keras_ops.concatenate(masks, self.axis), axis=-1)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


def add(inputs, **kwargs):
    """`Add()(inputs)`: a + b + …"""
    return Add(**kwargs)(inputs)


def subtract(inputs, **kwargs):
    """`Subtract()(inputs)`: a − b"""
    return Subtract(**kwargs)(inputs)


def multiply(inputs, **kwargs):
    """`Multiply()(inputs)`: a · b · …"""
    return Multiply(**kwargs)(inputs)


def average(inputs, **kwargs):
    """`Average()(inputs)`: (a + b + …) / count"""
    return Average(**kwargs)(inputs)


def maximum(inputs, **kwargs):
    """`Maximum()(inputs)`: max(a, b, …)"""
    return Maximum(**kwargs)(inputs)


def minimum(inputs, **kwargs):
    """`Minimum()(inputs)`: min(a, b, …)"""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs, axis: int = -1, **kwargs):
    """`Concatenate(axis)(inputs)`: the inputs joined along `axis`"""
    return Concatenate(axis=axis, **kwargs)(inputs)


class ReLU(Layer):
    """f(x) = max_value for x ≥ max_value, x for threshold ≤ x < max_value, negative_slope · (x − threshold)
    below"""

    supports_masking = True

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

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **kwargs):
        super().__init__(**kwargs)
        self.negative_slope = negative_slope
        self.built = True

    def call(self, inputs):
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self):
        return {**super().get_config(), "negative_slope": self.negative_slope}


class PReLU(Layer):
    """f(x) = x for x ≥ 0, alpha · x below, alpha learned

    Args:
        shared_axes: axes along which one alpha serves all: [1, 2] for one of every channel of images.

    Weights: alpha, of the input's shape without the batch, 1 along shared axes. Source: He et al., "Delving
    deep into rectifiers", 2015.
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer="Zeros",
        alpha_regularizer=None,
        alpha_constraint=None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else (
            None if shared_axes is None else list(shared_axes))

    def build(self, input_shape):
        rank, shared = len(input_shape), self.shared_axes or []
        if any(not isinstance(axis, int) or not 0 < axis < rank for axis in shared):
            raise InvalidArgumentError(
                "PReLU: shared_axes are axes of the input behind the batch",
                where=f"layer {self.name!r}",
                got=f"shared_axes={self.shared_axes} for an input of {rank} axes",
                wanted=f"numbers from 1 to {rank - 1}",
                fix="shared_axes=[1, 2] for images [N,H,W,C]",
            )
        self.alpha = self.add_weight(
            [1 if axis in shared else input_shape[axis] for axis in range(1, rank)],
            self.alpha_initializer,
            name="alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        axes = {axis: input_shape[axis] for axis in range(1, rank) if shared and axis not in shared}
        self.input_spec = InputSpec(ndim=rank, axes=axes)

    def call(self, inputs):
        return activations.relu(inputs) - self.alpha * activations.relu(-inputs)

    def get_config(self):
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


class ELU(Layer):
    """f(x) = x for x ≥ 0, alpha · (eˣ − 1) below"""

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.alpha = alpha
        self.built = True

    def call(self, inputs):
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha}


class Softmax(Layer):
    """softmax along `axis`, over the numbers where a `mask` that broadcasts to the input is True; else 0"""

    supports_masking = True

    def __init__(self, axis: int = -1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.built = True

    def call(self, inputs, mask=None):
        if mask is not None:
            mask = ops.convert_to_tensor(mask)
            pairs = zip(tuple(mask.shape)[::-1], tuple(inputs.shape)[::-1], strict=False)
            if len(mask.shape) > len(inputs.shape) or any(
                m not in (1, n) and None not in (m, n) for m, n in pairs
            ):
                raise ShapeError(
                    "Softmax: the mask does not fit the input",
                    where=f"layer {self.name!r}",
                    got=f"a mask of shape {tuple(mask.shape)} for an input of shape {tuple(inputs.shape)}",
                    wanted="a mask that broadcasts to the input: each size, counted from the last axis, "
                    "equal or 1",
                    fix="give one True or False per number of the input, or expand the mask's axes",
                )
            kept = mask if mask.dtype.name == "bool" else mask > 0.5
            inputs = ops.where(kept, inputs, ops.ones_like(inputs) * -1e9)
            outputs = activations.softmax(inputs, axis=self.axis)
            # Where nothing is kept the softmax would spread evenly over all.
            return ops.where(kept, outputs, ops.zeros_like(outputs))
        return activations.softmax(inputs, axis=self.axis)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


class Identity(Layer):
    """output = input"""

    supports_masking = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs):
        return inputs

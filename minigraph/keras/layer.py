"""Layer: weights and a computation, called on tensors (computes), on symbolic values (adds nodes) or on
KerasTensors (draws a model).

Attributes that are layers, variables, or lists of them are found and tracked in the order they were set,
which is the order of `weights`. It knows nothing of training.
"""

from __future__ import annotations

import functools
import inspect
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigraph import ops
from minigraph.dtypes import as_dtype
from minigraph.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    MinigraphError,
    ShapeError,
    UnsupportedError,
)
from minigraph.graph import Graph, current_graph, eagerly
from minigraph.keras import config, initializers, regularizers
from minigraph.keras.arguments import refuse_unknown
from minigraph.keras.masking import found_mask, keep_mask, masks_of, pass_on
from minigraph.keras.metrics import Metric
from minigraph.keras.naming import automatic_name, unique_name
from minigraph.keras.random import SeedGenerator
from minigraph.keras.symbolic import KerasTensor, LayerCall
from minigraph.ops.dispatch import convert
from minigraph.ops.registry import OPS
from minigraph.tensor import Tensor
from minigraph.tree import flatten, map_structure, pack_like
from minigraph.variable import Variable

#: What is made into a tensor when a layer is called on it.
_ARRAYS = (np.ndarray, np.generic, float, int)


class InputSpec:
    """What a layer accepts: rank, minimum rank, sizes of axes (Keras's `InputSpec`)."""

    def __init__(
        self,
        dtype=None,
        shape=None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ):
        self.dtype, self.shape = dtype, None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim, self.axes = max_ndim, min_ndim, axes or {}
        self.allow_last_axis_squeeze, self.name, self.optional = allow_last_axis_squeeze, name, optional


#: Arguments of older Keras, and what has taken their place.
_OF_OLD = {
    "batch_input_shape": "begin the model with keras.Input(batch_shape=(samples, ...))",
    "time_major": "the order is samples, time steps, features: tf.transpose(x, [1, 0, 2]) makes it so",
}


class Layer:
    """Base of all layers (Keras's `keras.layers.Layer`).

    Subclasses create weights in `build(input_shape)` with `add_weight` and compute in `call(inputs)`.

    Args:
        trainable: whether its weights are trained.
        dtype: dtype of weights and computation, float32 by default.
        name: `class_name`, `class_name_1`, ... by default.
        activity_regularizer: a regularizer of the output.
    """

    is_input = False
    #: Whether masks of its input go on to its output, as `compute_mask` says; a class that defines
    #: `compute_mask` says yes by that.
    supports_masking = False

    def __init__(
        self,
        *,
        activity_regularizer=None,
        trainable: bool = True,
        dtype=None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs,
    ):
        if "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
            self._given_input_shape: tuple | None = (None, *tuple(shape))
        elif "input_dim" in kwargs:
            self._given_input_shape = (None, kwargs.pop("input_dim"))
        else:
            self._given_input_shape = None
        refuse_unknown(type(self).__name__, kwargs, _arguments(type(self)), _OF_OLD)
        self._tracked: dict[str, Any] = {}
        self._own_weights: list[Variable] = []
        self.calls: list[LayerCall] = []
        self.name = automatic_name(type(self).__name__) if name is None else name
        self.built = False
        self._trainable = bool(trainable)
        self.dtype = as_dtype(getattr(dtype, "name", dtype) or config.floatx()).name
        self.autocast = autocast
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec: Any = None
        self._added_losses: list[Callable] = []
        self._call_losses: list[Tensor] = []
        #: The input shape it was built for by a call outside a drawn model; summaries show what comes of it.
        self._built_on: tuple | None = None

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "compute_mask" in cls.__dict__ and "supports_masking" not in cls.__dict__:
            cls.supports_masking = True
        if "build" in cls.__dict__ and cls.__dict__["build"] is not Layer.build:
            own = cls.__dict__["build"]

            @functools.wraps(own)
            def build(self, *args, _own=own, **named):
                with _Call(self):
                    result = _own(self, *args, **named)
                self.built = True
                return result

            cls.build = build  # type: ignore[method-assign]  # the subclass's own, told where it is called

    # -- attributes that hold weights
    def __setattr__(self, name: str, value: Any) -> None:
        tracked = self.__dict__.get("_tracked")
        if tracked is not None and not name.startswith("_"):
            if any(_is_tracked(item) for item in _leaves(value)):
                tracked[name] = value
            else:
                tracked.pop(name, None)
        elif tracked is None and isinstance(value, (Layer, Variable)):
            raise FailedPreconditionError(
                f"{type(self).__name__} sets {name!r} before calling super().__init__()",
                where=f"layer {type(self).__name__}",
                got=f"self.{name} = {type(value).__name__} on a layer that is not set up",
                wanted="a layer that is",
                fix="call super().__init__() first in __init__",
            )
        object.__setattr__(self, name, value)

    def _children(self) -> list[Any]:
        """Layers, variables, seed generators and metrics set as attributes, in order, each once."""
        found: dict[int, Any] = {id(v): v for v in self._own_weights}
        for value in self._tracked.values():
            for item in _leaves(value):
                if _is_tracked(item):
                    found.setdefault(id(item), item)
        return list(found.values())

    def _held(self, kind: type) -> list[Any]:
        """Those children that are of this class."""
        return [child for child in self._children() if isinstance(child, kind)]

    def _flatten_layers(self) -> list[Layer]:
        """This layer and every layer inside it, each once."""
        found: dict[int, Layer] = {}
        waiting: list[Layer] = [self]
        while waiting:
            layer = waiting.pop(0)
            if id(layer) not in found:
                found[id(layer)] = layer
                waiting += [child for child in layer._children() if isinstance(child, Layer)]
        return list(found.values())

    @property
    def variables(self) -> list[Variable]:
        """Every variable, seeds of random generators included; metrics keep theirs to themselves."""
        found: dict[int, Variable] = {id(v): v for v in self._direct_weights()}
        for child in self._children():
            if isinstance(child, (Layer, SeedGenerator)):
                found.update((id(v), v) for v in child.variables if id(v) not in found)
        return list(found.values())

    @property
    def weights(self) -> list[Variable]:
        """Trainable and other weights, without the state of random generators, in Keras's order."""
        found: dict[int, Variable] = {id(v): v for v in self._direct_weights()}
        for layer in self._held(Layer):
            found.update((id(v), v) for v in layer.weights if id(v) not in found)
        return list(found.values())

    def _direct_weights(self) -> list[Variable]:
        """The weights that are not those of a layer inside: first the trainable ones."""
        own = self._held(Variable)
        return [v for v in own if v.trainable] + [v for v in own if not v.trainable]

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights training changes: none where `trainable` is False."""
        frozen = self._frozen()
        return [v for v in self.weights if v.trainable and id(v) not in frozen]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights training leaves alone."""
        kept = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in kept]

    @property
    def trainable_variables(self) -> list[Variable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        kept = {id(v) for v in self.trainable_weights}
        return [v for v in self.variables if id(v) not in kept]

    def _frozen(self) -> set[int]:
        if not self.trainable:
            return {id(v) for v in self.weights}
        return {i for child in self._children() if isinstance(child, Layer) for i in child._frozen()}

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        # As in Keras, setting it reaches the layers inside.
        object.__setattr__(self, "_trainable", bool(value))
        for child in self._children():
            if isinstance(child, Layer):
                child.trainable = value

    def add_weight(
        self,
        shape: Sequence[int] | str | None = None,
        initializer=None,
        dtype=None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer=None,
        constraint=None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Create a weight.

        Args:
            shape: its shape; () by default.
            initializer: how it starts; Glorot uniform for floats, zeros otherwise.
            regularizer: adds a loss for it.
            constraint: applied to it after every update.
        """
        if isinstance(shape, str):
            # Keras 2's order was (name, shape).
            raise InvalidArgumentError(
                "add_weight: the first argument is the shape",
                where=f"layer {self.name!r}",
                got=repr(shape),
                wanted="add_weight(shape=(...), name=...)",
                fix="pass shape and name by name",
            )
        if overwrite_with_gradient:
            raise UnsupportedError(
                "add_weight: overwrite_with_gradient is not supported",
                where=f"layer {self.name!r}",
                fix="leave it out",
            )
        shape = tuple(shape or ())
        dtype = as_dtype(dtype or self.dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtype.is_floating else "zeros"
        initializer = initializers.get(initializer)
        if any(n is None for n in shape):
            raise ShapeError(
                f"layer {self.name!r}: a weight's size is unknown",
                where=f"layer {self.name!r}",
                got=f"weight {name!r} of shape {shape}",
                wanted="known sizes",
                fix="only the batch axis of the input may be None; give the others in Input(shape=...)",
            )
        variable: Any = Variable(
            lambda: initializer(shape, dtype=dtype.name),
            trainable=trainable,
            name=name or unique_name("variable"),
        )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraint
        with _Call(self):
            variable.path = "/".join([*(layer.name for layer in _stack.layers), variable.name])
        self._own_weights.append(variable)
        return variable

    # -- building and calling
    def build(self, input_shape) -> None:
        """Create weights; the base has none to create."""
        self.built = True

    def call(self, *args, **kwargs):
        raise UnsupportedError(
            f"{type(self).__name__} has no call method",
            where=f"layer {self.name!r}",
            got="a layer that does not say what it computes",
            wanted="def call(self, inputs)",
            fix="write call(self, inputs) in your Layer subclass",
        )

    def _wants(self, argument: str) -> bool:
        cache = self.__dict__.setdefault("_call_arguments", None)
        if cache is None:
            parameters = inspect.signature(self.call).parameters
            cache = self.__dict__["_call_arguments"] = set(parameters)
            if (
                any(p.kind is p.VAR_KEYWORD for p in parameters.values())
                and isinstance(self, Layer)
                and self._children()
            ):
                cache.add("**")
        return argument in cache

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves = flatten([list(args), kwargs])
        self._check_types(args)
        if any(isinstance(x, KerasTensor) for x in leaves):
            return self._call_symbolically(args, kwargs)
        args = tuple(map_structure(self._as_tensor, a) if _holds_arrays(a) else a for a in args)
        if args:
            self._check_input(args[0])
        if not self.built:
            self._build_for(args, kwargs)
        training = kwargs.get("training")
        if training is None:
            # That of the call around this one.
            training = _stack.training[-1]
        if not self._wants("training"):
            kwargs.pop("training", None)
        elif training is not None:
            kwargs["training"] = training
        if self._wants("mask") and kwargs.get("mask") is None:
            mask = found_mask([*args, *kwargs.values()])
            if mask is not None:
                kwargs["mask"] = mask
        # Looked up before the call, which may change what its inputs carry.
        masks = kwargs.get("mask")
        if masks is None and args:
            masks = masks_of(args[0])
        graph = current_graph()
        try:
            with _Call(self, training):
                if graph is None:
                    outputs = self.call(*args, **kwargs)
                else:
                    with graph.name_scope(self.name):
                        outputs = self.call(*args, **kwargs)
        except MinigraphError as error:
            raise self._naming(error, args) from None
        if self.activity_regularizer is not None:
            # Per sample, as in Keras.
            self._call_losses = [
                self.activity_regularizer(x) / ops.cast(ops.shape(x)[0], x.dtype) for x in flatten(outputs)
            ]
        if args:
            self._pass_mask_on(args[0], outputs, masks)
        return outputs

    def _pass_mask_on(self, inputs, outputs, masks) -> None:
        """Leave the masks of the inputs on the outputs; a subclass may have none to do with masks."""
        pass_on(self, inputs, outputs, masks)

    def compute_mask(self, inputs, previous_mask=None) -> Any:
        """The mask of the output, for inputs with the mask `previous_mask`: the same one.

        Called where `supports_masking` is set. May return None (no mask), or a nest for several outputs.
        """
        return previous_mask

    def _check_types(self, args: tuple) -> None:
        """Positional arguments are tensors."""
        for leaf in flatten(list(args)):
            if not isinstance(leaf, (Tensor, KerasTensor, *_ARRAYS)) and leaf is not None:
                raise InvalidArgumentError(
                    f"layer {self.name!r} was called on something that is no tensor",
                    where=f"layer {self.name!r} ({type(self).__name__})",
                    got=f"{type(leaf).__name__} {leaf!r}"[:100],
                    wanted="a tensor, an array, or keras.Input(...) and what layers make of it",
                    fix="connect layers by calling each on the output of the one before: "
                    "x = keras.Input(shape=(784,)); y = keras.layers.Dense(10)(x); "
                    "pass other arguments by name",
                )

    def _naming(self, error: MinigraphError, args: tuple) -> MinigraphError:
        """The same error, saying which layer it happened in and what that was called on."""
        if "layer " not in error.where:
            shapes = ", ".join(str(tuple(x.shape)) for x in flatten(list(args)) if hasattr(x, "shape"))
            error.restate(
                where=f"layer {self.name!r} ({type(self).__name__}) called on {shapes}"
                + (f", {error.where}" if error.where else "")
            )
        return error

    def _as_tensor(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            # Floats are brought to the layer's dtype, as Keras does.
            if self.autocast and value.dtype.is_floating and value.dtype.name != self.dtype:
                return keep_mask(ops.cast(value, self.dtype), value)
            return value
        if isinstance(value, _ARRAYS):
            array = np.asarray(value)
            target = as_dtype(self.dtype) if array.dtype.kind == "f" and self.autocast else None
            return convert(array, target) if target is not None else convert(array)
        return value

    def _build_for(self, args: tuple, kwargs: dict) -> None:
        shapes = _shapes(args[0]) if args else None
        if isinstance(shapes, tuple) and current_graph() is not None:
            # A traced batch has one size among many.
            self._built_on = (None, *shapes[1:])
        elif isinstance(shapes, tuple):
            self._built_on = shapes
        with eagerly():
            self.build(shapes)
        self.built = True

    def _check_input(self, inputs: Any) -> None:
        if self.input_spec is None:
            return
        specs = self.input_spec if isinstance(self.input_spec, (list, tuple)) else [self.input_spec]
        tensors = flatten(inputs)
        if len(specs) != len(tensors):
            raise ShapeError(
                f"layer {self.name!r} expects {len(specs)} inputs",
                where=f"layer {self.name!r}",
                got=f"{len(tensors)} inputs",
                wanted=f"{len(specs)}",
                fix="pass them as one list",
            )
        for spec, tensor in zip(specs, tensors, strict=True):
            if tensor is None:
                self._bad_input("a tensor", "None", ())
            shape = tuple(tensor.shape)
            if (
                spec.ndim is not None
                and len(shape) != spec.ndim
                and not (spec.allow_last_axis_squeeze and len(shape) in (spec.ndim - 1, spec.ndim + 1))
            ):
                self._bad_input(f"{spec.ndim} axes", f"{len(shape)} axes", shape)
            if spec.min_ndim is not None and len(shape) < spec.min_ndim:
                self._bad_input(f"at least {spec.min_ndim} axes", f"{len(shape)}", shape)
            if spec.max_ndim is not None and len(shape) > spec.max_ndim:
                self._bad_input(f"at most {spec.max_ndim} axes", f"{len(shape)}", shape)
            for axis, size in spec.axes.items():
                if size is not None and shape[axis] not in (size, None):
                    self._bad_input(
                        f"size {size} along axis {axis}", f"size {shape[axis]} along axis {axis}", shape
                    )
            if spec.shape is not None and not spec.allow_last_axis_squeeze:
                for axis, (wanted, got) in enumerate(zip(spec.shape, shape, strict=False)):
                    if wanted is not None and got is not None and wanted != got:
                        self._bad_input(f"shape {spec.shape}", f"size {got} along axis {axis}", shape)

    def _bad_input(self, wanted: str, got: str, shape: tuple) -> None:
        raise ShapeError(
            f"the input of layer {self.name!r} does not fit",
            where=f"layer {self.name!r} ({type(self).__name__})",
            got=f"{got} (input shape {shape})",
            wanted=wanted,
            fix="check the previous layer's output or the data's shape; axis 0 is the batch"
            + ("; for images of one channel add an axis: x[..., None]" if len(shape) == 3 else ""),
        )

    def _call_symbolically(self, args: tuple, kwargs: dict) -> Any:
        """Draw: build, find the output's shape, remember the call."""
        if args:
            self._check_input(args[0])
        if not self.built:
            with eagerly():
                self.build(_shapes(args[0]) if args else None)
            self.built = True
        call = LayerCall(self, args, kwargs)
        specs = self._output_specs(args, kwargs)
        leaves = []
        for i, leaf in enumerate(flatten(specs)):
            shape, dtype = leaf.shape, leaf.dtype
            tensor = KerasTensor(shape, dtype, call=call, index=i)
            leaves.append(tensor)
        call.outputs = leaves
        call.structure = pack_like(specs, leaves)
        self.calls.append(call)
        if args:
            masks = kwargs.get("mask")
            self._pass_mask_on(args[0], call.structure, masks_of(args[0]) if masks is None else masks)
        return call.structure

    def _output_specs(self, args: tuple, kwargs: dict) -> Any:
        """Call on symbolic values in a graph that is thrown away; the results carry the shapes."""
        scratch = Graph("shapes")
        scratch.lazy_variables = False
        with scratch.as_default():

            def value(x):
                if not isinstance(x, KerasTensor):
                    return x
                return scratch.add(OPS["placeholder"], (), {}, [x.spec], "x").outputs[0]

            real_args = tuple(map_structure(value, a) for a in args)
            real_kwargs = {k: map_structure(value, v) for k, v in kwargs.items()}
            result = self(*real_args, **real_kwargs)
        self._call_losses = []
        return map_structure(lambda x: x if hasattr(x, "spec") else convert(x), result)

    def compute_output_shape(self, input_shape) -> Any:
        """The output's shape for an input of `input_shape` (None for unknown sizes)."""
        nested = (
            [input_shape]
            if input_shape and isinstance(input_shape[0], (list, tuple)) is False
            else input_shape
        )
        tensors = [KerasTensor(s, self.dtype) for s in nested]
        specs = self._output_specs((tensors[0] if len(tensors) == 1 else tensors,), {})
        shapes = [tuple(leaf.shape) for leaf in flatten(specs)]
        if len(shapes) == 1:
            return shapes[0]
        return tuple(shapes) if isinstance(specs, tuple) else shapes

    # -- losses
    def add_loss(self, loss: Any) -> None:
        """Add a term to the training loss: a tensor computed in `call`, or a function of no arguments."""
        for item in flatten(loss):
            if callable(item) and not isinstance(item, Tensor):
                self._added_losses.append(item)
            else:
                self._call_losses.append(item)

    @property
    def losses(self) -> list[Tensor]:
        """Regularisation and added losses of this layer and those inside."""
        found = []
        for layer in self._flatten_layers():
            found += layer._call_losses
            found += [function() for function in layer._added_losses]
        for variable in self.trainable_weights:
            regularizer = getattr(variable, "regularizer", None)
            if regularizer is not None:
                found.append(regularizer(variable))
        return found

    def _clear_call_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._call_losses = []

    # -- numbers in and out
    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, in the order of `weights`."""
        return [v.numpy() if v.shape else np.asarray(v.numpy()) for v in self.weights]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Replace all weights; nothing changes when any array does not fit.

        Raises:
            ShapeError: naming the weight.
        """
        variables = self.weights
        if len(weights) != len(variables):
            raise ShapeError(
                f"layer {self.name!r} has {len(variables)} weights, but {len(weights)} were given",
                where=f"layer {self.name!r}",
                got=f"{len(weights)} arrays",
                wanted=", ".join(f"{v.path} {v.shape}" for v in variables)[:300] or "none",
                fix="give one array per weight, in the order of get_weights(); a layer has none before it "
                "is built",
            )
        arrays = [np.asarray(w) for w in weights]
        for variable, array in zip(variables, arrays, strict=True):
            if tuple(array.shape) != tuple(variable.shape):
                raise ShapeError(
                    f"layer {self.name!r}: a weight has the wrong shape",
                    where=f"weight {variable.path!r}",
                    got=str(array.shape),
                    wanted=str(variable.shape),
                    fix="the weights belong to another architecture, or to another order of layers",
                )
        for variable, array in zip(variables, arrays, strict=True):
            variable.set_array(array.astype(variable.dtype.numpy_dtype))

    def count_params(self) -> int:
        """The number of weights' elements."""
        if not self.built:
            raise FailedPreconditionError(
                f"layer {self.name!r} has no weights yet",
                where=f"layer {self.name!r}",
                got="count_params() before the layer was built",
                wanted="a built layer",
                fix="call it on an input first, or give the model an Input",
            )
        return sum(math.prod(v.shape) for v in self.weights)

    # -- where it stands in a model
    def _first_call(self, what: str) -> LayerCall:
        if not self.calls:
            raise InvalidArgumentError(
                f"layer {self.name!r} has no {what}",
                where=f"layer {self.name!r}",
                got="0 calls",
                wanted="a layer called in a model",
                fix="build the model with an Input",
            )
        return self.calls[0]

    @property
    def input(self) -> Any:
        """The KerasTensor it was called on; for a layer called several times that of the first call."""
        inputs = self._first_call("input").inputs
        return inputs[0] if len(inputs) == 1 else inputs

    @property
    def output(self) -> Any:
        """The KerasTensor it made; for a layer called several times that of the first call."""
        return self._first_call("output").structure

    @property
    def input_shape(self):
        return map_structure(lambda x: x.shape, self.input)

    @property
    def output_shape(self):
        return map_structure(lambda x: x.shape, self.output)

    # -- configuration
    def get_config(self) -> dict:
        """What is needed to make the same layer again, without its weights."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: dict) -> Layer:
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _arguments(kind: type) -> list[str]:
    """The names of the arguments a layer class and its bases take."""
    names: dict[str, None] = {}
    for base in kind.__mro__:
        if issubclass(base, Layer) and "__init__" in base.__dict__:
            names.update(dict.fromkeys(inspect.signature(base.__init__).parameters))
    return [n for n in names if n not in ("self", "args", "kwargs")]


def _leaves(value: Any):
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    else:
        yield value


def _is_tracked(item: Any) -> bool:
    """Whether an attribute is part of the layer's state."""
    return isinstance(item, (Layer, Variable, SeedGenerator, Metric))


def _holds_arrays(argument: Any) -> bool:
    return any(isinstance(x, (Tensor, *_ARRAYS)) and not isinstance(x, bool) for x in flatten(argument))


def _shapes(inputs: Any) -> Any:
    """Shapes of an input nest: a tuple for one tensor, else the nest of tuples."""
    return map_structure(lambda x: tuple(x.shape) if hasattr(x, "shape") else (), inputs)


class _Stack(threading.local):
    """What is under way in this thread, outermost first."""

    def __init__(self):
        #: The `training` argument of the calls; what is at the bottom holds outside of all.
        self.training: list[bool | None] = [None]
        #: The layers that build or compute: the path of a weight made now.
        self.layers: list[Layer] = []


_stack = _Stack()


class _Call:
    """While a layer builds or computes: weights made belong to it, and layers called inherit `training`."""

    def __init__(self, layer: Layer, training: Any = None):
        self.layer, self.training = layer, training

    def __enter__(self):
        _stack.training.append(_stack.training[-1] if self.training is None else self.training)
        # A layer that builds itself while it is called counts once.
        self.counts = not _stack.layers or _stack.layers[-1] is not self.layer
        if self.counts:
            _stack.layers.append(self.layer)

    def __exit__(self, *error):
        _stack.training.pop()
        if self.counts:
            _stack.layers.pop()

"""minigraph: a computation-graph engine with TensorFlow's surface.

`import minigraph as tf` and `from minigraph import keras`: names, arguments, defaults and numbers are
TensorFlow's and Keras's. Beyond them there are `Session` and `placeholder` at the top level, the stepper
(`step`), and `Program`.
"""

from __future__ import annotations

import importlib as _importlib

import kernels as _kernels

if not getattr(_kernels, "MINIGRAPH_PACKAGE", False):
    raise ImportError(
        f"another installed package is called 'kernels' ({_kernels.__file__}) and hides minigraph's. "
        "Uninstall it, or put minigraph's folder first on sys.path."
    )

from minigraph import errors
from minigraph.dtypes import (
    DType,
    as_dtype,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from minigraph.graph import Graph, name_scope
from minigraph.ops import *  # noqa: F403
from minigraph.run import eager as _eager
from minigraph.run.tape import GradientTape, UnconnectedGradients
from minigraph.spec import TensorShape
from minigraph.tensor import Tensor
from minigraph.variable import Variable

__version__ = "0.1.0"

#: TensorFlow's own names for what Python already calls something.
bool = bool_
half, double = float16, float64
newaxis = None

#: Loaded when first used, to keep `import minigraph` light.
_LAZY = {
    "keras": "minigraph.keras",
    "nn": "minigraph.nn",
    "math": "minigraph.math",
    "image": "minigraph.image",
    "random": "minigraph.random",
    "linalg": "minigraph.linalg",
    "compat": "minigraph.compat",
    "data": "minigraph.data",
    "train": "minigraph.compat.v1.train",
    "losses": "minigraph.keras.losses",
    "metrics": "minigraph.keras.metrics",
    "autograph": "minigraph.autograph",
    "initializers": "minigraph.keras.initializers",
    "optimizers": "minigraph.keras.optimizers",
    "config": "minigraph.config",
    "debugging": "minigraph.debugging",
    "lowering": "minigraph.lowering",
    "nest": "minigraph.nest",
}
_LAZY_NAMES = {
    "function": "minigraph.tracing",
    "expand": "minigraph.expansion",
    "expanding": "minigraph.ops.recurrent_fused",
    "TensorSpec": "minigraph.tracing",
    "Module": "minigraph.module",
    "device": "minigraph.config",
    "assert_equal": "minigraph.debugging",
    "assert_less": "minigraph.debugging",
    "assert_greater": "minigraph.debugging",
    "assert_rank": "minigraph.debugging",
    "ones_initializer": "minigraph.initial_values",
    "zeros_initializer": "minigraph.initial_values",
    "constant_initializer": "minigraph.initial_values",
    "random_normal_initializer": "minigraph.initial_values",
    "random_uniform_initializer": "minigraph.initial_values",
    "Program": "minigraph.compile.program",
    "compile_graph": "minigraph.compile.program",
    "Session": "minigraph.session",
    "InteractiveSession": "minigraph.session",
    "get_default_session": "minigraph.session",
    "global_variables_initializer": "minigraph.session",
    "variables_initializer": "minigraph.session",
    "initialize_all_variables": "minigraph.session",
    "get_default_graph": "minigraph.session",
    "disable_eager_execution": "minigraph.session",
    "enable_eager_execution": "minigraph.session",
    "executing_eagerly": "minigraph.session",
    "global_variables": "minigraph.session",
    "trainable_variables": "minigraph.session",
    "gradients": "minigraph.autodiff",
    "step": "minigraph.stepper",
    "record": "minigraph.stepper",
    "init_scope": "minigraph.session",
    "get_variable": "minigraph.compat.v1",
    "variable_scope": "minigraph.compat.v1",
    "set_random_seed": "minigraph.compat.v1",
    "norm": "minigraph.linalg",
}


#: What TensorFlow has and what to use instead.
_NO_STRINGS = "there are no tensors of text: "
_INSTEAD = {
    "io": _NO_STRINGS + "read pictures with keras.utils.load_img or image_dataset_from_directory",
    "strings": _NO_STRINGS + "work on text with Python and make tensors of the numbers",
    "string": _NO_STRINGS + "work on text with Python and make tensors of the numbers",
    "saved_model": "models cannot be saved yet; model.get_weights() gives the weights as arrays",
    "summary": "keras.callbacks.CSVLogger writes every epoch's numbers to a file",
    "distribute": "programs use all cores of one machine by themselves",
    "sparse": "use dense tensors",
    "TensorArray": "tf.scan and tf.map_fn keep a result per step; in Python loops a list and tf.stack do",
    "lookup": _NO_STRINGS + "a Python dict numbers words, as does keras.preprocessing.text.Tokenizer",
    "ragged": "pad to one length: keras.utils.pad_sequences",
    "contrib": "recurrent cells are in compat.v1.contrib.rnn; write other layers with tf.nn or keras",
    "layers": "write the layers with tf.matmul and tf.nn, or use minigraph.keras",
}


def __getattr__(name: str):
    if name in _LAZY:
        return _importlib.import_module(_LAZY[name])
    if name in _LAZY_NAMES:
        return getattr(_importlib.import_module(_LAZY_NAMES[name]), name)
    if name.startswith("_"):
        raise AttributeError(name)
    known = [n for n in (*globals(), *_LAZY, *_LAZY_NAMES) if not n.startswith("_")]
    raise errors.missing_name("tf", name, known, _INSTEAD)


def __dir__():
    return sorted([*globals(), *_LAZY, *_LAZY_NAMES])

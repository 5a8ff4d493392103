"""Dataset: a sequence of elements that is made again for every pass over it.

Each method returns a new dataset that draws from this one when it is iterated. Elements travel as flat tuples
of eager tensors and get their structure back at the end. Elements are made one after the other, in order,
when they are asked for; arguments that only say how TensorFlow should spend threads and memory
(`num_parallel_calls`, `deterministic`, the buffer of `prefetch`) are checked and change nothing. Knows
nothing of training.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigraph.data.elements import (
    Flat,
    Traced,
    fitting,
    held_tensors,
    map_shapes,
    packer,
    rows,
    spec_of_element,
    stack,
)
from minigraph.data.nested import DatasetSpec, OfWindows, count_of_windows, tensors_only, windows
from minigraph.data.shuffling import shuffled, words
from minigraph.dtypes import as_dtype
from minigraph.errors import (
    DTypeError,
    InvalidArgumentError,
    MissingNameError,
    ShapeError,
    UnsupportedError,
    did_you_mean,
    missing_name,
)
from minigraph.graph import current_graph
from minigraph.ops.dispatch import convert
from minigraph.ops.streams import eager_seeds
from minigraph.run.eager import EagerTensor, from_array
from minigraph.tensor import Tensor
from minigraph.tracing import TensorSpec
from minigraph.tree import flatten, map_structure, pack_like

#: "Choose for me": accepted wherever TensorFlow accepts it.
AUTOTUNE = -1
INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2

#: A function that starts a pass. It calls its sources' at once, not when the first element is asked for: as
#: in TensorFlow, a shuffled dataset draws the seeds of a pass when the pass begins.
_Pass = Callable[[], Iterator[Flat]]


class _Names(type):
    """What is asked of the class itself and is not there."""

    def __getattr__(cls, name: str) -> Any:
        raise missing_name("tf.data.Dataset", name, [n for n in dir(cls) if n[0] != "_"], {
            "list_files": "keras.utils.image_dataset_from_directory reads folders of pictures; for other "
            "files make a list of paths in Python and read them in a generator for Dataset.from_generator"})


class Dataset(metaclass=_Names):
    """A sequence of elements (TensorFlow's `tf.data.Dataset`). Make one with `from_tensor_slices`, `range`,
    ...

    >>> import minigraph as tf
    >>> dataset = tf.data.Dataset.from_tensor_slices([1.0, 2.0, 3.0]).map(lambda x: 10 * x).batch(2)
    >>> [batch.numpy().tolist() for batch in dataset]
    [[10.0, 20.0], [30.0]]
    """

    #: On datasets of image folders: the names of the classes (None without labels), and the files.
    class_names: list[str] | None
    file_paths: list[str]

    def __init__(self, kind: str, element_spec: Any, count: int, elements: _Pass):
        self._kind, self._element_spec, self._count, self._elements = kind, element_spec, count, elements

    # -- where elements come from
    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> Dataset:
        """One element per position along the first axis of `tensors`: an array, or a tuple or dict of arrays.

        Raises:
            ShapeError: for arrays without that axis or of different lengths.
        """
        nest, leaves = held_tensors(tensors, "from_tensor_slices")
        if any(not leaf.shape for leaf in leaves):
            raise ShapeError(
                "from_tensor_slices: a single number has no slices",
                where="from_tensor_slices",
                got="shape ()",
                wanted="arrays with a first axis",
                fix="Dataset.from_tensors(x)",
            )
        count = leaves[0].shape[0]
        if any(leaf.shape[0] != count for leaf in leaves):
            raise ShapeError(
                "from_tensor_slices: the arrays have different lengths",
                where="from_tensor_slices",
                got=", ".join(str(leaf.shape) for leaf in leaves),
                wanted="equal first axes",
                fix="check that they belong together (axis 0 counts the samples)",
            )
        spec = map_shapes(spec_of_element(nest), lambda shape: shape[1:])
        return Dataset("TensorSlice", spec, count, lambda: zip(*map(rows, leaves), strict=True))

    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> Dataset:
        """One element: all of `tensors`."""
        nest, leaves = held_tensors(tensors, "from_tensors")
        return Dataset("Tensor", spec_of_element(nest), 1, lambda: iter([tuple(leaves)]))

    @staticmethod
    def range(*args: Any, output_type: Any = "int64", name: str | None = None) -> Dataset:
        """The numbers of Python's `range(*args)`, int64 by default."""
        if not 1 <= len(args) <= 3:
            raise InvalidArgumentError(
                "Dataset.range takes 1 to 3 numbers",
                where="Dataset.range",
                got=str(args),
                wanted="range(stop), range(start, stop) or range(start, stop, step)",
                fix="leave some out",
            )
        dtype = as_dtype(output_type)
        numbers = range(*(_whole(number, "start, stop and step", "Dataset.range") for number in args))

        def elements() -> Iterator[Flat]:
            for number in numbers:
                yield (from_array(np.asarray(number, dtype.numpy_dtype)),)

        return Dataset("Range", TensorSpec((), dtype), len(numbers), elements)

    @staticmethod
    def from_generator(
        generator: Callable,
        output_types: Any = None,
        output_shapes: Any = None,
        args: Any = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """What `generator(*args)` yields; it is called anew for every pass.

        Args:
            output_signature: a TensorSpec, or a tuple or dict of them, describing an element.
            output_types, output_shapes: the same in TensorFlow's older form; both are needed.
            args: arguments of the generator, which receives them as NumPy arrays.
        """
        where = "from_generator"
        if not callable(generator):
            raise InvalidArgumentError(
                "from_generator takes a function that returns an iterator",
                where=where,
                got=repr(generator)[:80],
                wanted="a generator function",
                fix="pass the function itself, not what it returns: from_generator(make, ...)",
            )
        spec = _signature(output_types, output_shapes, output_signature)
        given = [np.asarray(convert(value, name="args"))[()] for value in args or ()]

        def elements() -> Iterator[Flat]:
            for value in generator(*given):
                yield fitting(value, spec, where)

        return Dataset("FlatMap", spec, UNKNOWN_CARDINALITY, elements)

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> Dataset:
        """Elements of several datasets side by side, as long as all have one.

        Args:
            *args: datasets, or one nested tuple or dict of datasets.
        """
        nest = datasets if datasets is not None else args[0] if len(args) == 1 else args
        parts = flatten(nest)
        if not parts or isinstance(nest, list) or any(not isinstance(part, Dataset) for part in parts):
            raise InvalidArgumentError(
                "zip takes datasets",
                where="Dataset.zip",
                got=repr(nest)[:120],
                wanted="datasets, or a tuple or dict of them",
                fix="Dataset.zip(images, labels)",
            )
        spec = map_structure(lambda part: part.element_spec, nest)
        counts = [part._count for part in parts]
        finite = [count for count in counts if count != INFINITE_CARDINALITY]

        def elements() -> Iterator[Flat]:
            sides = zip(*(part._elements() for part in parts), strict=False)
            return (tuple(itertools.chain.from_iterable(side)) for side in sides)

        count = (
            UNKNOWN_CARDINALITY
            if UNKNOWN_CARDINALITY in counts
            else min(finite, default=INFINITE_CARDINALITY)
        )
        return Dataset("Zip", spec, count, elements)

    # -- what is done to elements
    def map(
        self,
        map_func: Callable,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        synchronous: bool | None = None,
        use_unbounded_threadpool: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """`map_func` of every element, traced once into a graph as by `tf.function`.

        The parts of a tuple are separate arguments. Python code that is not made of tensor operations
        (printing, NumPy) runs while tracing only.
        """
        _hint(num_parallel_calls, "num_parallel_calls", "map")
        if synchronous or use_unbounded_threadpool:
            raise UnsupportedError(
                "map: synchronous and use_unbounded_threadpool are not supported",
                where="Dataset.map",
                fix="leave them out",
            )
        function = Traced(map_func, self.element_spec, "Dataset.map")
        kind = "Map" if num_parallel_calls is None else "ParallelMap"
        return Dataset(kind, function.element_spec, self._count, lambda: map(function, self._elements()))

    def filter(self, predicate: Callable, name: str | None = None) -> Dataset:
        """The elements for which `predicate`, traced as in `map`, is true."""
        function = Traced(predicate, self.element_spec, "Dataset.filter")
        if function.element_spec != TensorSpec((), "bool"):
            raise DTypeError(
                "filter: the predicate must return one bool",
                where="Dataset.filter",
                got=str(function.element_spec),
                wanted=str(TensorSpec((), "bool")),
                fix="compare: lambda x: x > 0; reduce vectors with tf.reduce_all",
            )

        def elements() -> Iterator[Flat]:
            return (flat for flat in self._elements() if function(flat)[0])

        return Dataset("Filter", self.element_spec, UNKNOWN_CARDINALITY, elements)

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool | None = True,
        name: str | None = None,
    ) -> Dataset:
        """Elements in random order, each drawn from a buffer of the next `buffer_size`.

        With `seed` or `tf.random.set_seed` the order is TensorFlow's, pass after pass; without both it is
        another every time. A buffer smaller than the dataset shuffles only nearby elements. After `batch` it
        shuffles whole batches.

        Args:
            reshuffle_each_iteration: whether every pass has an order of its own (then seeds are drawn per
            pass).
        """
        size = _whole(buffer_size, "buffer_size", "Dataset.shuffle", at_least=1)
        seeds = eager_seeds(None if seed is None else _whole(seed, "seed", "Dataset.shuffle"))
        of_passes = words(*seeds)

        def elements() -> Iterator[Flat]:
            of_pass = (
                (next(of_passes), next(of_passes)) if reshuffle_each_iteration in (True, None) else seeds
            )
            return shuffled(self._elements, size, words(*of_pass))

        return Dataset("Shuffle", self.element_spec, self._count, elements)

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """`batch_size` consecutive elements stacked along a new first axis; the last batch may be smaller.

        Args:
            drop_remainder: leave out a smaller last batch; then the size of the axis is known.

        Raises:
            ShapeError: while iterating, for elements of different shapes.
        """
        size = _whole(batch_size, "batch_size", "Dataset.batch", at_least=1)
        tensors_only(self.element_spec, "Dataset.batch")
        _hint(num_parallel_calls, "num_parallel_calls", "batch")
        known = size if drop_remainder else None
        spec = map_shapes(self.element_spec, lambda shape: (known, *shape))
        count = (
            self._count
            if self._count < 0
            else self._count // size
            if drop_remainder
            else -(-self._count // size)
        )

        def batches(source: Iterator[Flat]) -> Iterator[Flat]:
            while group := list(itertools.islice(source, size)):
                if len(group) == size or not drop_remainder:
                    yield tuple([stack(column, "Dataset.batch") for column in zip(*group, strict=True)])

        kind = "Batch" if num_parallel_calls is None else "ParallelBatch"
        return Dataset(kind, spec, count, lambda: batches(self._elements()))

    def unbatch(self, name: str | None = None) -> Dataset:
        """The slices of every element along its first axis, as elements."""
        tensors_only(self.element_spec, "Dataset.unbatch")
        leaves = flatten(self.element_spec)
        if any(not leaf.shape for leaf in leaves):
            raise ShapeError(
                "unbatch: elements need a first axis to be taken apart",
                where="Dataset.unbatch",
                got=str(self.element_spec),
                wanted="elements of at least one axis",
                fix="batch first",
            )
        spec = map_shapes(self.element_spec, lambda shape: shape[1:])
        each = next((leaf.shape[0] for leaf in leaves if leaf.shape[0] is not None), None)
        count = (
            self._count if self._count < 0 else UNKNOWN_CARDINALITY if each is None else self._count * each
        )

        def slices(source: Iterator[Flat]) -> Iterator[Flat]:
            for flat in source:
                yield from zip(*map(rows, flat), strict=True)

        return Dataset("Unbatch", spec, count, lambda: slices(self._elements()))

    def window(
        self,
        size: int,
        shift: int | None = None,
        stride: int = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Windows over the elements: each is a dataset of up to `size` of them.

        A tuple or dict of parts becomes a tuple or dict of windows. `flat_map` makes tensors of them:

        >>> import minigraph as tf
        >>> windows = tf.data.Dataset.range(5).window(3, shift=1, drop_remainder=True)
        >>> [rows.numpy().tolist() for rows in windows.flat_map(lambda window: window.batch(3))]
        [[0, 1, 2], [1, 2, 3], [2, 3, 4]]

        Args:
            shift: how many elements further the next window begins; `size` by default.
            stride: take every `stride`-th element.
            drop_remainder: leave out the windows at the end that are not full.
        """
        size = _whole(size, "size", "Dataset.window", at_least=1)
        shift = size if shift is None else _whole(shift, "shift", "Dataset.window", at_least=1)
        stride = _whole(stride, "stride", "Dataset.window", at_least=1)
        inner_specs = flatten(self.element_spec)
        tensors_only(self.element_spec, "Dataset.window")

        def of(spec: TensorSpec, column: tuple) -> Dataset:
            return Dataset("Variant", spec, len(column), lambda: zip(column))

        def as_datasets(window: list[Flat]) -> tuple:
            return tuple(map(of, inner_specs, zip(*window, strict=True)))

        def elements() -> Iterator[Flat]:
            return map(as_datasets, windows(self._elements(), size, shift, stride, drop_remainder))

        count = self._count
        if count >= 0:
            count = count_of_windows(count, size, shift, stride, drop_remainder)
        return Dataset("Window", map_structure(DatasetSpec, self.element_spec), count, elements)

    def flat_map(self, map_func: Callable, name: str | None = None) -> Dataset:
        """The elements of all datasets that `map_func` makes of windows (see `window`), one after the other.

        `map_func` is called once, on datasets that stand for the parts of any element.

        Raises:
            UnsupportedError: for elements that are no windows.
        """
        function = OfWindows(
            map_func,
            self.element_spec,
            lambda spec, elements: Dataset("Variant", spec, UNKNOWN_CARDINALITY, elements),
            Dataset,
            "Dataset.flat_map",
        )

        def elements() -> Iterator[Flat]:
            return itertools.chain.from_iterable(map(function, self._elements()))

        return Dataset("FlatMap", function.result.element_spec, UNKNOWN_CARDINALITY, elements)

    def get_single_element(self, name: str | None = None) -> Any:
        """The one element of a dataset that has just one.

        Raises:
            InvalidArgumentError: when it has none or several.
        """
        found = list(itertools.islice(self, 2))
        if len(found) != 1:
            raise InvalidArgumentError(
                "get_single_element: the dataset must have one element",
                where="Dataset.get_single_element",
                got="none" if not found else "several",
                wanted="exactly one",
                fix="dataset.take(1).get_single_element(), or batch(count) before",
            )
        return found[0]

    def enumerate(self, start: int = 0, name: str | None = None) -> Dataset:
        """(position, element), positions int64 counting from `start`."""
        first = _whole(start, "start", "Dataset.enumerate")
        return Dataset.zip(Dataset.range(first, 2**63 - 1), self)

    def cache(self, filename: str = "", name: str | None = None) -> Dataset:
        """The elements of the first complete pass are kept in memory and given again by later passes."""
        if filename:
            raise UnsupportedError(
                "cache: keeping elements in a file is not supported",
                where="Dataset.cache",
                got=f"filename={filename!r}",
                wanted="cache()",
                fix="leave filename out",
            )
        kept: list[list[Flat]] = []

        def keeping(source: Iterator[Flat]) -> Iterator[Flat]:
            seen = []
            for flat in source:
                seen.append(flat)
                yield flat
            kept[:] = [seen]

        def elements() -> Iterator[Flat]:
            return iter(kept[0]) if kept else keeping(self._elements())

        return Dataset("Cache", self.element_spec, self._count, elements)

    def prefetch(self, buffer_size: int, name: str | None = None) -> Dataset:
        """The same elements. TensorFlow makes them ahead of time; here training is waited for, not data."""
        if not isinstance(buffer_size, int) or buffer_size != AUTOTUNE:
            _whole(buffer_size, "buffer_size", "Dataset.prefetch", at_least=0)
        return Dataset("Prefetch", self.element_spec, self._count, self._elements)

    # -- which elements
    def repeat(self, count: int | None = None, name: str | None = None) -> Dataset:
        """All elements `count` times over; without end for None or -1."""
        times = -1 if count is None else _whole(count, "count", "Dataset.repeat", at_least=-1)

        def again(source: Iterator[Flat]) -> Iterator[Flat]:
            for later in itertools.count(1) if times < 0 else range(1, times + 1):
                empty = True
                for flat in source:
                    empty = False
                    yield flat
                if (empty and times < 0) or later == times:
                    return
                source = self._elements()

        def elements() -> Iterator[Flat]:
            return again(self._elements()) if times else iter(())

        if times == 0 or self._count == 0:
            total = 0
        elif times < 0:
            total = INFINITE_CARDINALITY
        else:
            total = self._count if self._count < 0 else self._count * times
        return Dataset("Repeat", self.element_spec, total, elements)

    def take(self, count: int, name: str | None = None) -> Dataset:
        """The first `count` elements; all for -1."""
        first = _whole(count, "count", "Dataset.take", at_least=-1)
        if first < 0:
            total = self._count
        elif self._count == UNKNOWN_CARDINALITY:
            total = UNKNOWN_CARDINALITY
        else:
            total = first if self._count == INFINITE_CARDINALITY else min(first, self._count)
        return Dataset(
            "Take",
            self.element_spec,
            total,
            self._elements if first < 0 else lambda: itertools.islice(self._elements(), first),
        )

    def skip(self, count: int, name: str | None = None) -> Dataset:
        """All but the first `count` elements; none at all for -1."""
        first = _whole(count, "count", "Dataset.skip", at_least=-1)
        if self._count < 0:
            total = self._count
        else:
            total = max(self._count - first, 0) if first >= 0 else 0

        def elements() -> Iterator[Flat]:
            return itertools.islice(self._elements(), first, None) if first >= 0 else iter(())

        return Dataset("Skip", self.element_spec, total, elements)

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """The elements of this dataset, then those of another of the same structure and dtypes."""
        tensors_only(self.element_spec, "Dataset.concatenate")
        tensors_only(dataset.element_spec, "Dataset.concatenate")
        own, other = flatten(self.element_spec), flatten(dataset.element_spec)
        same = str(map_shapes(self.element_spec, lambda shape: ())) == str(
            map_shapes(dataset.element_spec, lambda shape: ())
        )
        if not same or any(len(a.shape) != len(b.shape) for a, b in zip(own, other, strict=True)):
            raise DTypeError(
                "concatenate: the elements of the two datasets differ",
                where="Dataset.concatenate",
                got=f"{self.element_spec} and {dataset.element_spec}",
                wanted="the same structure, dtypes and numbers of axes",
                fix="bring them together with map",
            )
        spec = pack_like(
            self.element_spec,
            [
                TensorSpec([m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)], a.dtype)
                for a, b in zip(own, other, strict=True)
            ],
        )
        counts = self._count, dataset._count
        total = next((n for n in (INFINITE_CARDINALITY, UNKNOWN_CARDINALITY) if n in counts), sum(counts))

        def elements() -> Iterator[Flat]:
            first = self._elements()
            return (flat for part in (lambda: first, dataset._elements) for flat in part())

        return Dataset("Concatenate", spec, total, elements)

    # -- looking
    @property
    def element_spec(self) -> Any:
        """Shape and dtype of every part of an element, as a nest of TensorSpecs."""
        return self._element_spec

    def cardinality(self) -> Tensor:
        """The number of elements, int64 (); INFINITE_CARDINALITY (-1) or UNKNOWN_CARDINALITY (-2) where it
        has none."""
        return convert(np.int64(self._count))

    def __len__(self) -> int:
        if self._count < 0:
            raise TypeError(
                "The dataset is infinite."
                if self._count == INFINITE_CARDINALITY
                else "The dataset length is unknown."
            )
        return self._count

    def __bool__(self) -> bool:
        # Not its length: `if dataset:` asks whether there is one.
        return True

    def __iter__(self) -> Iterator[Any]:
        """Elements as nests of eager tensors."""
        if current_graph() is not None:
            raise UnsupportedError(
                "a dataset cannot be iterated inside a traced function",
                where="Dataset.__iter__",
                got="for ... in dataset while a graph is being built",
                wanted="a loop outside",
                fix="loop over the dataset in plain Python and call the @tf.function on each batch",
            )
        return map(packer(self.element_spec), self._elements())

    def as_numpy_iterator(self) -> Iterator[Any]:
        """Elements as nests of NumPy arrays (NumPy scalars for shape ())."""
        tensors_only(self.element_spec, "Dataset.as_numpy_iterator")
        pack = packer(self.element_spec)
        return (pack(tuple(tensor.numpy() for tensor in flat)) for flat in self._elements())

    def apply(self, transformation_func: Callable[[Dataset], Dataset]) -> Dataset:
        """`transformation_func(self)`: for chaining."""
        return transformation_func(self)

    def __repr__(self) -> str:
        return f"<_{self._kind}Dataset element_spec={self.element_spec}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        known = [n for n in dir(Dataset) if not n.startswith("_")]
        raise MissingNameError(
            f"Dataset.{name} is not supported",
            where=f"tf.data.Dataset.{name}",
            got=name,
            wanted="a supported method",
            fix=did_you_mean(name, known),
        )


def _signature(types: Any, shapes: Any, signature: Any) -> Any:
    """The element spec that the arguments of `from_generator` describe."""
    where = "from_generator"
    if signature is not None:
        if types is not None or shapes is not None:
            raise InvalidArgumentError(
                "from_generator: output_signature replaces output_types and output_shapes",
                where=where,
                got="both",
                wanted="one of them",
                fix="keep output_signature",
            )
        for leaf in flatten(signature):
            if not isinstance(leaf, TensorSpec):
                raise InvalidArgumentError(
                    "from_generator: output_signature is made of TensorSpecs",
                    where=where,
                    got=repr(leaf)[:80],
                    wanted="tf.TensorSpec(shape=(), dtype=tf.int32)",
                    fix="wrap shapes and dtypes in tf.TensorSpec",
                )
        return signature
    if types is None or shapes is None:
        raise UnsupportedError(
            "from_generator needs to know the shapes of elements",
            where=where,
            got="no output_signature" + (", output_types without output_shapes" if types else ""),
            wanted="output_signature=tf.TensorSpec(shape, dtype), or a tuple or dict of them",
            fix="None stands for sizes that vary: tf.TensorSpec((None, 3), tf.float32)",
        )
    if isinstance(types, (tuple, dict)):
        items = types.items() if isinstance(types, dict) else enumerate(types)
        parts = {key: _signature(part, shapes[key], None) for key, part in items}
        return parts if isinstance(types, dict) else tuple(parts.values())
    return TensorSpec(shapes, types)


def _whole(value: Any, name: str, where: str, at_least: int | None = None) -> int:
    """`value` as an int: a Python, NumPy or tensor integer.

    Raises:
        InvalidArgumentError: naming the argument.
    """
    number = value.numpy() if isinstance(value, EagerTensor) else value
    fits = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
    if not fits or (at_least is not None and number < at_least):
        raise InvalidArgumentError(
            f"{where}: {name} must be a whole number"
            + (f" of at least {at_least}" if at_least is not None else ""),
            where=where,
            got=f"{name}={value!r}",
            wanted="for example 32" if at_least != -1 else "a count, or -1",
            fix=f"check {name}",
        )
    return int(number)


def _hint(value: Any, name: str, where: str) -> None:
    """Check an argument that says how to spend threads."""
    if value is not None and value != AUTOTUNE:
        _whole(value, name, f"Dataset.{where}", at_least=1)

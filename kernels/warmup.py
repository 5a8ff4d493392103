"""Compiling kernels ahead of their first use: which ones are worth it, and doing it in two processes.

Files enter the kernel store whole or not at all, so an interrupted run leaves a correct store and the next
goes on where it stopped. How progress is shown is the caller's business.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from multiprocessing import get_context

from kernels.jit import KERNELS, Kernel, Wanted, compile_to_store, is_stored

#: The modules that declare kernels.
FAMILIES = (
    "tape",
    "elementwise",
    "fused",
    "gemm",
    "gemm_blocks",
    "gemm_pairs",
    "matvec",
    "conv",
    "winograd",
    "winograd_filter_gradient",
    "depthwise",
    "folding",
    "reduce",
    "softmax",
    "normalization",
    "shape",
    "metrics",
    "optimizers",
    "random",
    "rows",
    "pool",
    "resize",
    "projective",
    "recurrent_panels",
    "recurrent",
    "recurrent_gradient",
)

#: What training dense, convolutional and recurrent networks uses, on words and augmented images too: these
#: are compiled by default.
COMMON = frozenset(
    """
    run_tape run_branches pool_worker pool_init fused load_runs
    identity add sub mul div muladd neg abs square sqrt exp log log1p sin cos maximum minimum clip select cast
    equal not_equal greater greater_equal less_equal squared_difference div_no_nan
    relu relu_grad sigmoid sigmoid_grad tanh tanh_grad
    matmul add_blocks matvec reduce_sum reduce_max argmax
    conv2d conv2d_filter_gradient turn_filters
    winograd winograd_filters winograd_filter_gradient winograd_filter_gradient_finish
    max_pool2d max_pool2d_winners max_pool2d_send
    softmax softmax_grad sparse_softmax_cross_entropy sparse_softmax_cross_entropy_grad softmax_cross_entropy
    softmax_cross_entropy_grad log_softmax log_softmax_grad
    copy_box fill take_rows one_hot gather scatter_add
    projective_transform interpolate
    batch_norm_statistics batch_norm_finish normalize_rows fold_batch_norm
    batch_norm_gradient_sums batch_norm_gradient_finish batch_norm_gradient_rows
    categorical_matches binary_matches sparse_categorical_accuracy
    adam adam_squares sgd sgd_momentum rmsprop rmsprop_squares adagrad advance accumulate
    pack_recurrent pack_recurrent_transposed pack_pairs matmul_pairs lstm lstm_grad gru gru_grad
    random_uniform random_normal random_truncated_normal dropout dropout_grad seed_next shuffle_order
""".split()
)

_LABELS = ("int32", "int64")
#: dtypes by the letter a kernel's `build` calls them.
_LETTERS = {"R": ("float32",), "L": _LABELS, "I": _LABELS, "S": ("int32", "int64"), "W": ("uint8",)}
#: Kernels that move bytes are compiled per item size, whatever the numbers mean.
_MOVES_BYTES = frozenset(
    "copy_box fill gather take_rows gather_nd scatter_nd_update one_hot load_runs".split()
)
_CARRIERS = {
    "take_rows": ("uint8", "uint32", "uint64"),
    "fill": ("uint8", "uint32", "uint64"),
    "copy_box": ("uint8", "uint32", "uint64"),
    "load_runs": ("uint8", "int32", "int64"),
}
#: Functions that are used on other dtypes too: masks are kept, classes are compared.
_ALSO = {"identity": [("bool",)], "equal": [("int64",)]}


def declare_all() -> None:
    """Import every kernel family, so that `KERNELS` is complete."""
    for family in FAMILIES:
        importlib.import_module(f"kernels.{family}")


def worth_compiling(everything: bool = False) -> list[Wanted]:
    """(kernel, dtypes) to have ready, for float32 computations.

    Args:
        everything: all kernels, not only those of `COMMON`.
    """
    declare_all()
    return [
        (kernel_, dtypes)
        for name, kernel_ in KERNELS.items()
        if everything or name in COMMON
        for dtypes in _dtypes(kernel_)
    ]


def _dtypes(kernel_: Kernel) -> list[tuple[str, ...]]:
    """The dtypes a float32 computation calls this kernel with."""
    from kernels.elementwise import FUNCTIONS

    name = kernel_.name
    if name in FUNCTIONS:
        function = FUNCTIONS[name]
        if name == "cast":
            return [
                ("bool", "float32"),
                ("int32", "float32"),
                ("int64", "float32"),
                ("uint8", "float32"),
                ("float32", "int32"),
            ]
        first = ("float32",) if "float32" in function.dtypes else function.dtypes[-1:]
        return [first, *_ALSO.get(name, [])]
    if name in ("reduce_any", "reduce_all"):
        return [("bool",)]
    if name.startswith("reduce_"):
        return [("float32", "float32") if name == "reduce_sum" else ("float32",)]
    if name in ("argmax", "argmin"):
        return [("float32", "int64")]
    letters = [p.name for p in inspect.signature(kernel_.build).parameters.values() if p.default is p.empty]
    # Softmax and its sparse loss share a build: the loss takes labels besides.
    if name == "sparse_softmax_cross_entropy":
        letters = ["T", "L"]
    first = _CARRIERS.get(name, ("uint32",)) if name in _MOVES_BYTES else ("float32",)
    if name == "integer_mean":
        first = ("int32", "int64")
    elif name == "random_integers":
        first = ("uint32", "uint64")
    if name.endswith("_matches"):
        # Labels of these may be one-hot rows or probabilities.
        return list(product(first, ("float32", *_LABELS)))
    return list(product(*(first if letter == "T" else _LETTERS[letter] for letter in letters)))


def warm_up(
    wanted: Iterable[Wanted],
    again: bool = False,
    processes: int | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> int:
    """Compile what is not stored yet.

    Args:
        wanted: see `worth_compiling`.
        again: compile stored kernels too.
        processes: 2 by default where there are two cores: each compiles on one core, and takes much memory.
        progress: called as progress(done, total, name) once before and after every kernel.

    Returns: how many kernels were compiled.
    """
    missing = [
        (kernel_, tuple(dtypes))
        for kernel_, dtypes in dict.fromkeys(wanted)
        if again or not is_stored(kernel_, dtypes)
    ]
    total = len(missing)
    progress(0, total, "")
    if processes is None:
        processes = min(2, os.cpu_count() or 1)
    # A process needs about a second to start; a few kernels are compiled sooner here.
    if processes < 2 or total < 8:
        for done, (kernel_, dtypes) in enumerate(missing, 1):
            compile_to_store(kernel_, dtypes)
            progress(done, total, kernel_.symbol(dtypes)[3:])
        return total
    _warm_up_in_processes(missing, processes, progress)
    return total


def _warm_up_in_processes(
    missing: Sequence[Wanted], processes: int, progress: Callable[[int, int, str], None]
) -> None:
    with ProcessPoolExecutor(processes, get_context("spawn"), _ignore_interrupts) as pool:
        try:
            jobs = {
                pool.submit(_compile_named, kernel_.name, dtypes): kernel_.symbol(dtypes)[3:]
                for kernel_, dtypes in missing
            }
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                progress(done, len(missing), jobs[job])
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _ignore_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal; the one that waits stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _compile_named(name: str, dtypes: tuple[str, ...]) -> None:
    declare_all()
    compile_to_store(KERNELS[name], dtypes)

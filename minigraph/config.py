"""tf.config: what a script may ask about the machine. minigraph computes on the CPU; other devices are
TensorFlow's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from minigraph.errors import InvalidArgumentError, UnsupportedError, missing_name
from minigraph.tracing import functions_run_eagerly, run_functions_eagerly

__all__ = ["PhysicalDevice", "device", "functions_run_eagerly", "list_logical_devices",
           "list_physical_devices", "run_functions_eagerly"]


#: What TensorFlow has and what to use instead.
_INSTEAD = {
    "threading": "the environment variable MINIGRAPH_NUM_THREADS says how many threads programs use",
    "experimental": "leave settings of GPUs out: list_physical_devices('GPU') is empty",
    "set_visible_devices": "leave settings of GPUs out: list_physical_devices('GPU') is empty",
}


class PhysicalDevice(NamedTuple):
    """A device, named as TensorFlow names it."""

    name: str
    device_type: str


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices minigraph computes on: the CPU. An empty list for "GPU" and "TPU".

    >>> list_physical_devices("GPU")
    []
    """
    if device_type not in (None, "CPU", "GPU", "TPU"):
        raise InvalidArgumentError(
            f"unknown device type {device_type!r}",
            where="tf.config.list_physical_devices",
            got=repr(device_type),
            wanted="'CPU', 'GPU' or 'TPU'",
            fix="leave it out for all",
        )
    return [PhysicalDevice("/physical_device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


def list_logical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The same devices under their logical names."""
    return [PhysicalDevice(device.name.replace("physical_", ""), device.device_type)
            for device in list_physical_devices(device_type)]


@contextlib.contextmanager
def device(device_name: str | None) -> Iterator[None]:
    """TensorFlow's `with tf.device("/CPU:0")`. Programs run on the CPU, so nothing changes.

    Raises:
        UnsupportedError: for another device than the CPU.
    """
    if device_name is not None and "CPU" not in str(device_name).upper():
        raise UnsupportedError(
            f"there is no device {device_name!r}",
            where="tf.device",
            got=repr(device_name),
            wanted="'/CPU:0': programs run on the CPU, on all its cores",
            fix="leave tf.device out; tf.config.list_physical_devices('GPU') is empty",
        )
    yield


def __getattr__(name: str):
    raise missing_name("tf.config", name, __all__, _INSTEAD)

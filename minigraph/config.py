"""tf.config: what a script may ask about the machine. minigraph computes on the CPU; other devices are
TensorFlow's."""

from __future__ import annotations

from typing import NamedTuple

from minigraph.errors import InvalidArgumentError


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

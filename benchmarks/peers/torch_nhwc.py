"""PyTorch with images in its channels_last layout; a peer of its own because now this, now NCHW is faster."""

from __future__ import annotations

from benchmarks.networks import ImageNetwork
from benchmarks.operators import BatchNormalize, Conv2d, DepthwiseConv2d, Pool2d
from benchmarks.peers import Runner, torch_peer
from benchmarks.peers.torch_images import NHWC
from benchmarks.workloads import Forward, Task, TrainStep


def make(task: Task) -> Runner | None:
    """What is computed on images; None for everything else, where the layout makes no difference."""
    match task:
        case (TrainStep(ImageNetwork()) | Forward(ImageNetwork()) | Conv2d() | DepthwiseConv2d() | Pool2d()
              | BatchNormalize()):
            return torch_peer.make(task, NHWC)
    return None

"""PyTorch on sequences: its own LSTM and GRU where they know the equations, else a loop over the time steps.

Sequences are [T,N,I], as these modules like them. Knows nothing about timing.
"""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch.nn import functional

from benchmarks import inputs
from benchmarks.inputs import Array
from benchmarks.peers import Runner
from benchmarks.sequences import Recurrent, SequenceNetwork
from benchmarks.workloads import Forward

Tensors: TypeAlias = list[torch.Tensor]


def time_first(array: Array) -> torch.Tensor:
    """[N,T,I] in NumPy as [T,N,I]."""
    return torch.from_numpy(array).transpose(0, 1).contiguous()


def _has_module(layer: Recurrent) -> bool:
    return layer.activation == "tanh" and (layer.kind == "lstm" or layer.reset_after)


class Network(torch.nn.Module):
    """The layers in their initial weights."""

    def __init__(self, network: SequenceNetwork) -> None:
        super().__init__()
        arrays = iter(inputs.weights(network))
        self.layers = torch.nn.ModuleList()
        for layer, features in network.with_inputs():
            weights = [torch.from_numpy(next(arrays)) for _ in layer.weights(features)]
            make = _module if _has_module(layer) else Loop
            self.layers.append(make(layer, features, weights))
        self.every_step = [layer.every_step for layer in network.layers]
        kernel, bias = (torch.nn.Parameter(torch.from_numpy(array)) for array in arrays)
        self.kernel, self.bias = torch.nn.Parameter(kernel.T.contiguous()), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of all steps [T,N,1], or of the last one [N,1]."""
        for layer, every_step in zip(self.layers, self.every_step, strict=True):
            x = layer(x)[0]
            x = x if every_step else x[-1]
        return functional.linear(x, self.kernel, self.bias)


def _module(layer: Recurrent, features: int, weights: Tensors) -> torch.nn.RNNBase:
    """torch's own; a bias that Keras does not have stays zero."""
    kernel, recurrent, bias = weights
    if layer.kind == "lstm":
        module: torch.nn.RNNBase = torch.nn.LSTM(features, layer.units)
        module.bias_hh_l0.requires_grad_(False)
        blocks = [kernel, recurrent, bias, torch.zeros_like(bias)]
    else:
        module = torch.nn.GRU(features, layer.units)
        # Keras's z, r, h are torch's r, z, n.
        blocks = [torch.cat([part[..., layer.units:2 * layer.units], part[..., :layer.units],
                             part[..., 2 * layer.units:]], -1) for part in (kernel, recurrent, *bias)]
    with torch.no_grad():
        for parameter, block in zip(module.parameters(), blocks, strict=True):
            parameter.copy_(block.T if block.ndim == 2 else block)
    return module


class Loop(torch.nn.Module):
    """A GRU with any activation whose reset gate comes before the state's product."""

    def __init__(self, layer: Recurrent, features: int, weights: Tensors) -> None:
        super().__init__()
        if layer.kind != "gru" or layer.reset_after:
            raise ValueError(f"{layer} is not what this loop computes")
        kernel, recurrent, bias = weights
        units = 2 * layer.units
        self.activation = {"relu": torch.relu, "tanh": torch.tanh}[layer.activation]
        self.kernel, self.bias = torch.nn.Parameter(kernel.clone()), torch.nn.Parameter(bias.clone())
        self.gates = torch.nn.Parameter(recurrent[:, :units].contiguous())
        self.candidate = torch.nn.Parameter(recurrent[:, units:].contiguous())

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        units = len(self.candidate)
        rows = torch.matmul(x, self.kernel) + self.bias
        h, outputs = x.new_zeros(x.shape[1], units), []
        for gates, candidate in zip(rows[..., :2 * units].unbind(), rows[..., 2 * units:].unbind(),
                                    strict=True):
            z, r = torch.addmm(gates, h, self.gates).sigmoid().split(units, 1)
            g = self.activation(torch.addmm(candidate, r * h, self.candidate))
            h = torch.lerp(g, h, z)
            outputs.append(h)
        return (torch.stack(outputs),)


def forward(network: SequenceNetwork, task: Forward) -> Runner:
    """The network's output for one batch."""
    module, x = Network(network), time_first(inputs.samples(network, task.batch)[0])

    @torch.inference_mode()
    def output() -> torch.Tensor:
        y = module(x)
        return y.transpose(0, 1) if y.ndim == 3 else y

    return Runner(output)

"""Matrix products between whole frames and states, without copies of either.

A full-frame kernel is a matrix with a row for each tap, channel and pixel. What autograd makes of slices of it, of
every second frame and of overlapping sums are copies as large as the frames, which take longer than the arithmetic;
so both products are functions with a gradient of their own, which read and write in place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def frame_products(frames: Tensor, weight: Tensor, slices: list[tuple[int, int]]) -> tuple[Tensor, ...]:
    """Every s-th frame times rows of one matrix: (N, s, D), (R, D) -> for each of the s, (N, rows of its slice).

    The slices, one for each of the s, cover the rows once.
    """
    products: tuple[Tensor, ...] = _FrameProducts.apply(frames, weight, slices)  # type: ignore[no-untyped-call]
    return products


def state_products(states: Tensor, weight: Tensor, n: int, terms: list[list[tuple[int, int]]]) -> Tensor:
    """Sums of products of states, (B, P, C), (k, R, C) -> (B, n, s, R): what overlap-add gives, each written once.

    Output (v, i) is the sum over the (tap, offset) of ``terms[i]`` of ``weight[tap]`` times state v + offset; every tap
    is in one of the terms.
    """
    sums: Tensor = _StateProducts.apply(states, weight, n, terms)  # type: ignore[no-untyped-call]
    return sums


class _FrameProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, frames: Tensor, weight: Tensor, slices: list[tuple[int, int]]) -> tuple[Tensor, ...]:
        ctx.save_for_backward(frames, weight)
        ctx.slices = slices
        return tuple(frames[:, i] @ weight[a:b].t() for i, (a, b) in enumerate(slices))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        frames, weight = ctx.saved_tensors
        grad_frames = torch.empty_like(frames) if ctx.needs_input_grad[0] else None
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        for i, (grad, (a, b)) in enumerate(zip(grads, ctx.slices, strict=True)):
            if grad_frames is not None:
                torch.mm(grad, weight[a:b], out=grad_frames[:, i])
            if grad_weight is not None:
                torch.mm(grad.t(), frames[:, i], out=grad_weight[a:b])
        return grad_frames, grad_weight, None


class _StateProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, n: int, terms: list[list[tuple[int, int]]]) -> Tensor:
        ctx.save_for_backward(states, weight)
        ctx.terms = terms
        y = states.new_empty(len(states) * n, len(terms), weight.shape[1])
        for i, pairs in enumerate(terms):
            if not pairs:
                y[:, i] = 0.0
            for j, (tap, offset) in enumerate(pairs):
                rows = states[:, offset : offset + n].flatten(0, 1)
                if j:
                    torch.addmm(y[:, i], rows, weight[tap].t(), out=y[:, i])
                else:
                    torch.mm(rows, weight[tap].t(), out=y[:, i])
        return y.view(len(states), n, *y.shape[1:])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states, weight = ctx.saved_tensors
        batch, n = grads[0].shape[:2]
        grad = grads[0].contiguous().flatten(0, 1)
        grad_states = torch.zeros_like(states) if ctx.needs_input_grad[0] else None
        grad_weight = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        for i, pairs in enumerate(ctx.terms):
            for tap, offset in pairs:
                if grad_states is not None:
                    grad_states[:, offset : offset + n] += (grad[:, i] @ weight[tap]).view(batch, n, -1)
                if grad_weight is not None:
                    torch.mm(grad[:, i].t(), states[:, offset : offset + n].flatten(0, 1), out=grad_weight[tap])
        return grad_states, grad_weight, None, None

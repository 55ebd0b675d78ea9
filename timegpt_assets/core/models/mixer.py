"""TSMixer (Chen et al. 2023, "TSMixer: an all-MLP architecture for time series forecasting") on torch.

Belongs here: the arithmetic of the net, how it learns, and its bytes; what goes in and comes out is numpy. It imports
torch: import it where it is called. Nothing here touches the process: no thread is started, no global random number
is drawn.
"""

import io
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

Weights = dict[str, Any]
"""Name -> tensor: a state dict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a net is: ``blocks`` that mix ``n_tokens`` minutes of ``hidden`` numbers made of ``n_channels``."""

    n_tokens: int
    n_channels: int
    hidden: int
    blocks: int

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """Return each linear layer's inputs and outputs, in the order they are drawn."""
        found = {"enter": (self.n_channels, self.hidden)}
        for block in range(self.blocks):
            found[f"{block}.time"] = (self.n_tokens, self.n_tokens)
            found[f"{block}.up"] = (self.hidden, 2 * self.hidden)
            found[f"{block}.down"] = (2 * self.hidden, self.hidden)
        return found | {"minutes": (self.n_tokens, 1), "leave": (self.hidden, 1)}

    @property
    def sizes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every tensor of the state dict."""
        found: dict[str, tuple[int, ...]] = {}
        for name, (inputs, outputs) in self.layers.items():
            found |= {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
        for name in (f"{block}.{side}" for block in range(self.blocks) for side in ("time", "up")):
            found |= {f"{name}.scale": (self.hidden,), f"{name}.shift": (self.hidden,)}
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a net learns: AdamW on shuffled batches. ``distill_lambda``: weight of the teacher's term."""

    epochs: int
    batch_rows: int
    learning_rate: float
    weight_decay: float
    dropout: float
    distill_lambda: float
    seed: int


def learnt(x: np.ndarray, y: np.ndarray, teacher: np.ndarray, shape: Shape, course: Course) -> Weights:
    """Return the weights that minimise MSE(net, y) + distill_lambda x MSE(net, teacher).

    ``x`` [row, token, channel] float32; ``y`` and ``teacher`` [row]: a row whose teacher is NaN has no second term.
    The same arrays, shape and course give the same bits on one kind of processor.
    """
    with _alone():
        chance = torch.Generator().manual_seed(course.seed)
        weights = _drawn(shape, chance)
        inputs, came, taught = (torch.from_numpy(np.ascontiguousarray(one, np.float32)) for one in (x, y, teacher))
        pupil = [one.requires_grad_() for one in weights.values()]
        steps = torch.optim.AdamW(pupil, lr=course.learning_rate, weight_decay=course.weight_decay, foreach=False)
        for _ in range(course.epochs):
            for rows in torch.randperm(len(came), generator=chance).split(course.batch_rows):
                said = _net(weights, inputs[rows], shape, course.dropout, chance)
                steps.zero_grad()
                _loss(said, came[rows], taught[rows], course.distill_lambda).backward()
                steps.step()
        return {name: one.detach() for name, one in weights.items()}


def said(weights: Weights, x: np.ndarray, shape: Shape, *, at_once: int) -> np.ndarray:
    """Return the net's answers [row], ``at_once`` rows a call: one by one they do not hang on their company.

    The sums of a batch are added in another order than those of a row: answers differ in the last bits (5e-7).
    """
    with _alone(), torch.no_grad():
        parts = torch.from_numpy(np.ascontiguousarray(x, np.float32)).split(at_once)
        answers = [_net(weights, part, shape, 0.0, None) for part in parts if len(part)]
        found: np.ndarray = torch.cat(answers).numpy() if answers else np.empty(0, np.float32)
        return found


def packed(weights: Weights | None, fields: Mapping[str, Any]) -> bytes:
    """Return the bytes of a state dict, if any, and its fields: numbers, texts, lists and mappings of them."""
    file = io.BytesIO()
    torch.save({"state": None if weights is None else dict(weights), **fields}, file)
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, Any]:
    """Return what ``packed`` was given; ValueError for bytes that hold anything but tensors and plain values."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise ValueError("no state dict: not a file of this kind")
    try:
        found = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as refused:
        raise ValueError(f"no state dict: {str(refused).splitlines()[0]}") from refused
    if not isinstance(found, dict):
        raise ValueError(f"no state dict but a {type(found).__name__}")
    return found


def check(weights: Weights, shape: Shape) -> None:
    """Raise ValueError for weights that are not float32 tensors of the shape's own sizes, saying which is not."""
    found = {name: tuple(one.shape) if torch.is_tensor(one) else one for name, one in weights.items()}
    if found != shape.sizes:
        odd = sorted(name for name in found.keys() | shape.sizes if found.get(name) != shape.sizes.get(name))
        raise ValueError(f"tensor {odd[0]} is {found.get(odd[0])}, and {shape.sizes.get(odd[0])} is asked")
    if odd := sorted(name for name, one in weights.items() if one.dtype != torch.float32):
        raise ValueError(f"tensor {odd[0]} is {weights[odd[0]].dtype}, and torch.float32 is asked")


def _net(weights: Weights, x: Any, shape: Shape, dropout: float, chance: Any) -> Any:
    def linear(name: str, values: Any) -> Any:
        return functional.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def normed(name: str, values: Any) -> Any:
        return functional.layer_norm(values, (shape.hidden,), weights[f"{name}.scale"], weights[f"{name}.shift"])

    def dropped(values: Any) -> Any:
        kept = torch.rand(values.shape, generator=chance) >= dropout if dropout else None
        return values if kept is None else values * kept / (1 - dropout)

    x = linear("enter", x)
    for block in range(shape.blocks):
        time, up, down = (f"{block}.{part}" for part in ("time", "up", "down"))
        mixed = torch.relu(linear(time, normed(time, x).transpose(1, 2)))
        x = x + dropped(mixed).transpose(1, 2)
        x = x + dropped(linear(down, dropped(torch.relu(linear(up, normed(up, x))))))
    return linear("leave", linear("minutes", x.transpose(1, 2))[..., 0])[..., 0]


def _loss(said: Any, came: Any, taught: Any, distill_lambda: float) -> Any:
    known = ~torch.isnan(taught)
    own = ((said - came) ** 2).mean()
    # a mean over all rows: those without a teacher pull no less on what came
    pull = torch.where(known, said - torch.nan_to_num(taught), 0.0) ** 2
    return own + distill_lambda * pull.mean()


def _drawn(shape: Shape, chance: Any) -> Weights:
    """Return the first weights: uniform within 1 / sqrt(inputs), norms that change nothing, and an answer of 0."""
    found: Weights = {}
    for name, size in shape.sizes.items():
        layer, _, kind = name.rpartition(".")
        bound = shape.layers[layer][0] ** -0.5
        if kind in ("scale", "shift"):
            found[name] = torch.full(size, float(kind == "scale"))
        elif layer == "leave":
            found[name] = torch.zeros(size)
        else:
            found[name] = (torch.rand(size, generator=chance) * 2 - 1) * bound
    return found


@contextmanager
def _alone() -> Iterator[None]:
    """One thread and reproducible kernels while it lasts: a second thread adds in another order, and waits."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)

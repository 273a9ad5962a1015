"""Teach a trained model a few more questions without a GPU: `python -m training.finish --out FOLDER [--steps 480]`.

Only the decoder's blocks learn; what sees (the vision tower, the merger) and the embedding stay as they are. Batches of
a dozen conversations, in which the wanted questions come more often (`More`; `--more '{"shares": {"clip": 0.15}}'` for
others), in float32 with AdamW; the rate rises over thirty steps and falls to zero over the last 60 %. About three
seconds a step on two cores. Needs the font pack.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training import conversations, layouts, structured, tasks, turns
from training.batches import Budget
from training.export import load_weights, write_folder, write_weights
from training.network import PLAIN, Network, Shape
from training.renderers import Renderers
from training.tokenizer import padded_vocab_size
from training.train import Device

MODEL = Path(__file__).parents[1] / "src" / "flashweb" / "models" / "flashweb-nano"
BUDGET = Budget(visual=1536, text=3648, pictures=60, conversations=60, labels=1100, glyphs=768, max_side=22,
                max_area=300, max_row=1300, passes=1)  # fmt: skip
WARM_UP, FALL = 30, 0.6  # steps, share of all steps


@dataclass(frozen=True, slots=True)
class More:
    """How often what is to be learnt is asked: weights and shares that replace those of the modules named."""

    tasks: Mapping[str, float] = field(default_factory=lambda: {"describe": 25.0})  # tasks.TASKS
    shares: Mapping[str, float] = field(
        default_factory=lambda: {"photo": 0.09, "prompt": 0.06, "turns": 0.07, "small": 0.02, "json": 0.17}
    )  # conversations.SHARES
    describe_chain: float = 10.0  # turns.CHAINS
    words: float = 0.6  # structured.FORMS
    page_receipt: float = 0.5  # structured.PAGE_RECEIPT
    pages: Mapping[str, float] = field(default_factory=dict)  # layouts.TRAIN
    layouts: tuple[str, ...] = ("receipt",) * 4 + ("form", "details", "nameplate", "label")  # conversations.NEEDS


def ask_more(more: More) -> None:
    """In this process and those that it forks."""
    for name, weight in more.tasks.items():
        function, _, least = tasks.TASKS[name]
        tasks.TASKS[name] = (function, weight, least)
    for name, weight in more.pages.items():
        function, _, width, height = layouts.TRAIN[name]
        layouts.TRAIN[name] = (function, weight, width, height)
    conversations.SHARES.update(more.shares)
    conversations.NEEDS["json"] = conversations.NEEDS["json"] + tuple(more.layouts)
    structured.FORMS["words"] = more.words
    structured.PAGE_RECEIPT = more.page_receipt
    turns.CHAINS = tuple(
        (chain, more.describe_chain if chain is turns.describe else weight) for chain, weight in turns.CHAINS
    )


def rate_at(step: int, steps: int, peak: float) -> float:
    return peak * min(1.0, (step + 1) / WARM_UP, (steps - step) / (FALL * steps))


def learn(network: Network, device: Device) -> Tensor:
    """The loss of the batch that the device holds, its gradients made."""
    with torch.no_grad():
        batch = device.packed()
        batch = replace(batch, patches=batch.patches.float())
        seen = network.encode(batch, PLAIN)
    read = network.decode(batch, seen, PLAIN)
    loss = PLAIN.answer_loss(network, read, batch.label_slots, batch.labels, batch.label_weights)
    loss.backward()
    return loss.detach()  # type: ignore[no-any-return]


def save(network: Network, init: Path, folder: Path) -> None:
    write_folder(folder, network.shape)
    write_weights(folder, network.state_dict(), network.shape)
    shutil.copy(init / "chat_template.jinja", folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--init", type=Path, default=MODEL)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=480)
    parser.add_argument("--rate", type=float, default=6e-5, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--more", default="{}", help="JSON overrides of More")
    args = parser.parse_args()
    ask_more(replace(More(), **json.loads(args.more)))
    renderers = Renderers(BUDGET, 1, 4, args.seed)
    renderers.progress[:] = [1.0, 1.0]
    renderers.go.set()
    network = Network(replace(Shape(), vocab_size=padded_vocab_size()))
    load_weights(network, args.init)
    torch.manual_seed(args.seed)
    device = Device(network, BUDGET, torch.device("cpu"))
    network.requires_grad_(False)
    learnt = [parameter.requires_grad_() for block in network.text for parameter in block.parameters()]
    optimiser = torch.optim.AdamW(learnt, lr=args.rate, betas=(0.9, 0.98), weight_decay=0.0)
    began, losses = time.monotonic(), list[float]()
    for step in range(args.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, args.steps, args.rate)
        slot, _ = renderers.ready()
        shared, (only,) = renderers.views(slot)
        device.load({**shared, **only})
        renderers.release(slot)
        losses.append(learn(network, device).item())
        torch.nn.utils.clip_grad_norm_(learnt, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if step % 20 == 19:
            print(f"step {step + 1}: loss {np.mean(losses[-20:]):.4f}, {time.monotonic() - began:.0f} s", flush=True)
    renderers.stop()
    save(network, args.init, args.out)


if __name__ == "__main__":
    main()

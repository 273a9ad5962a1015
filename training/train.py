"""Train flashweb-nano: `python -m training.train --minutes 26 --out run`.

Drawing processes fill batches, a thread brings them to the device, and one captured CUDA graph is replayed per step
(distortion, forward, backward, both optimisers). The schedule follows the clock: warm-up, flat, linear to zero.
Held-out scores and losses are written as JSON lines to `log.jsonl`, weights to `last.pt` (float32) and as a checkpoint
folder. On a machine without CUDA the same code runs step by step, for checks with `--tiny`.

Several GPUs of one host: `torchrun --nproc-per-node 2 -m training.train ...`. Each rank draws and learns batches of its
own; gradients are averaged inside the step, so that all ranks hold the same weights; rank 0 keeps time and writes.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

from training.augment import distorted_patches
from training.batches import Budget, empty_batch
from training.export import READING_FILE, load_weights, write_folder, write_weights
from training.fonts import pack_folder
from training.network import PLAIN, Network, Ops, Packed, Shape, compiled_ops
from training.optim import AdamW, Muon, clip
from training.renderers import Renderers
from training.tokenizer import padded_vocab_size

MUON_RATE, ADAM_RATE, DECAY = 2e-3, 1.5e-3, 0.05
READING_START, READING_END = 1.0, 0.2
TINY_BUDGET = Budget(visual=512, text=2048, pictures=64, conversations=64, labels=1024, glyphs=512, max_side=8,
                     max_area=64, max_row=512, passes=1)  # fmt: skip
TINY_SHAPE = Shape(
    hidden=128, layers=2, heads=2, kv_heads=1, mlp=256, vision_hidden=128, vision_layers=3, merger_mlp=256
)


RANK, RANKS = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
STEPS_TO_THE_END = 64  # what ranks may be apart, many times over: all of them must run the same number of steps


@dataclass(slots=True)
class Plan:
    """Schedules as functions of progress 0..1 (share of the minutes used)."""

    warm_up: float = 0.012
    decay: float = 0.45  # the last part, linear to zero
    ramp: float = 0.10  # curriculum: from the first lines to full pages
    latest_ramp_start: float = 0.06
    strength: float = 0.14  # augmentation fades in until here
    grown: bool = False  # started from trained weights: no curriculum
    peak: float = 1.0

    def rate(self, progress: float) -> float:
        up = min(1.0, progress / self.warm_up)
        down = min(1.0, (1.0 - progress) / self.decay)
        return self.peak * max(0.0, min(up, down))

    def reading_weight(self, progress: float) -> float:
        return READING_START + (READING_END - READING_START) * min(1.0, progress / 0.8)


class Device:
    """Static input buffers and the training step over them; on CUDA the step is captured once and replayed."""

    def __init__(self, network: Network, budget: Budget, device: torch.device) -> None:
        self.network, self.budget, self.device = network, budget, device
        self.inputs = {
            name: torch.zeros(shape, dtype=torch.from_numpy(np.zeros(1, kind)).dtype, device=device)
            for name, (kind, shape) in {**budget.fields(), **budget.pass_fields()}.items()
        }
        self.rate = torch.zeros((), device=device)
        self.reading_weight = torch.ones((), device=device)
        self.totals = torch.zeros(4, device=device)  # answer loss, reading loss, gradient norm, steps
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        matrices, muon_indices = _muon_views(network)
        self.muon_parts = matrices
        self.muon = Muon([view for _, view in matrices], DECAY)
        self.adam_indices = [i for i in range(len(self.parameters)) if i not in muon_indices]
        self.adam = AdamW([self.parameters[i] for i in self.adam_indices], [1.0] * len(self.adam_indices), DECAY)
        self.ops: Ops = PLAIN
        self.augment = distorted_patches
        self.graph: Any = None

    def load(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        for name, array in arrays.items():
            self.inputs[name].copy_(torch.from_numpy(array))

    def packed(self) -> Packed:
        i, b = self.inputs, self.budget
        noise = torch.randn(4 * b.visual, 588, device=self.device, dtype=torch.bfloat16)
        patches = self.augment(
            i["pixels"], i["picture_offset"], i["picture_size"], i["patch_picture"], i["patch_yx"], i["look"], noise
        )
        long = {n: i[n].long() for n in ("tokens", "image_slots", "label_slots", "labels", "glyph_token", "glyph_cell",
                                         "glyph_label", "patch_yx", "patch_grid", "positions")}  # fmt: skip
        return Packed(
            patches=patches, patch_yx=long["patch_yx"], patch_grid=long["patch_grid"],
            vision_offsets=i["vision_offsets"], tokens=long["tokens"], positions=long["positions"],
            text_offsets=i["text_offsets"], image_slots=long["image_slots"], label_slots=long["label_slots"],
            labels=long["labels"], label_weights=i["label_weights"], glyph_token=long["glyph_token"],
            glyph_cell=long["glyph_cell"], glyph_label=long["glyph_label"], glyph_weights=i["glyph_weights"],
            max_patches=b.max_patches, max_tokens=b.max_row,
        )  # fmt: skip

    def step(self) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            with torch.no_grad():
                batch = self.packed()
            answer, reading = self.network(batch, self.ops)
            loss = answer + self.reading_weight * reading
        gradients = torch.autograd.grad(loss, self.parameters)
        with torch.no_grad():
            rate = self.rate
            if RANKS > 1:
                gradients, rate = _averaged(gradients, rate)
            norm = clip(gradients, 1.0)
            index = {id(p): g for p, g in zip(self.parameters, gradients, strict=True)}
            self.muon.step([_part(index[id(p)], view, p) for p, view in self.muon_parts], rate * MUON_RATE)
            self.adam.step([gradients[i] for i in self.adam_indices], rate * ADAM_RATE)
            self.totals += torch.stack([answer.detach(), reading.detach(), norm, torch.ones_like(norm)])

    def prepare(self) -> None:
        """Compile and capture; the inputs must hold a valid batch and the rate must be zero."""
        if self.device.type != "cuda":
            return
        self.ops = compiled_ops()
        self.augment = torch.compile(distorted_patches, dynamic=False)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        try:
            # thread_local: NCCL's own thread may ask for events meanwhile
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self.step()
            self.graph = graph
        except RuntimeError as error:  # slower, but it trains
            print(f"the step could not be captured and runs uncaptured: {error}", flush=True)
        self.totals.zero_()

    def run(self) -> None:
        self.graph.replay() if self.graph is not None else self.step()

    def release_graph(self) -> None:
        if self.graph is not None:
            torch.cuda.synchronize()
            self.graph.reset()
            self.graph = None

    @torch.no_grad()
    def predictions(self) -> Tensor:
        """Greedy next tokens at the label slots of the loaded batch, without compiled parts."""
        with torch.autocast(self.device.type, torch.bfloat16):
            batch = self.packed()
            network = self.network
            x = network.decode(batch, network.encode(batch, PLAIN), PLAIN)
            hidden = network.norm(x.index_select(0, batch.label_slots))
            return network.logits(hidden).argmax(-1)


def _averaged(gradients: tuple[Tensor, ...], rate: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
    """Means over the ranks, in one transfer. The rate too: clocks differ a little, and weights must not."""
    flat = torch.cat([g.reshape(-1).float() for g in gradients] + [rate.reshape(1)])
    dist.all_reduce(flat)
    flat /= RANKS
    parts = flat[:-1].split([g.numel() for g in gradients])
    return tuple(part.view(g.shape) for part, g in zip(parts, gradients, strict=True)), flat[-1]


def _assert_equal_everywhere(parameters: Sequence[Tensor]) -> None:
    sums = torch.stack([p.detach().double().abs().sum() for p in parameters])
    all_sums = [torch.empty_like(sums) for _ in range(RANKS)]
    dist.all_gather(all_sums, sums)
    assert all(torch.equal(sums, others) for others in all_sums), "the ranks hold different weights"


def _muon_views(network: Network) -> tuple[list[tuple[torch.nn.Parameter, Tensor]], set[int]]:
    """Matrices of blocks and merger; fused projections as their parts, so that each part is orthogonalised alone."""
    owners = [*network.vision, *network.text, network.merger]
    wanted = {id(p): name for module in owners for name, p in module.named_parameters() if p.dim() == 2}
    views, indices = [], set()
    for i, p in enumerate(network.parameters()):
        if id(p) in wanted:
            parts = 3 if wanted[id(p)].startswith("qkv") else 2 if wanted[id(p)].startswith("gate_up") else 1
            views += [(p, view) for view in p.data.chunk(parts)]
            indices.add(i)
    return views, indices


def _part(gradient: Tensor, view: Tensor, parameter: Tensor) -> Tensor:
    """The slice of `gradient` that belongs to `view` of `parameter` (a block of whole rows)."""
    row = (view.storage_offset() - parameter.storage_offset()) // parameter.shape[1]
    return gradient[row : row + view.shape[0]]


class Feeder:
    """Brings ready batches to the device in a thread; prefers fresh ones and offers second uses when none is ready."""

    def __init__(self, renderers: Renderers, device: Device, ring: int = 12) -> None:
        self.renderers, self.device, self.budget = renderers, device, renderers.budget
        self.cuda = device.device.type == "cuda"
        self.ring: queue.Queue[dict[str, Any]] = queue.Queue()
        for _ in range(ring):
            self.ring.put({"shared": {}, "passes": [{} for _ in range(self.budget.passes)], "done": None})
        self.fresh: queue.Queue[dict[str, Any]] = queue.Queue(maxsize=3)
        self.later: list[tuple[dict[str, Any], int]] = []
        self.counts = {"fresh": 0, "again": 0, "pictures": 0, "visual": 0, "text": 0, "labels": 0, "ms": 0}
        self.waited = 0.0
        self.thread = threading.Thread(target=self._load, daemon=True)
        self.thread.start()

    def _load(self) -> None:
        if self.cuda:
            torch.cuda.set_device(self.device.device)
        stream = torch.cuda.Stream() if self.cuda else None
        sources: dict[int, list[dict[str, Tensor]]] = {}
        while True:
            slot, counts = self.renderers.ready()
            if slot not in sources:
                sources[slot] = self._sources(slot)
            entry = self.ring.get()
            if entry["done"] is not None:
                entry["done"].synchronize()
            for source, target in zip(sources[slot], [entry["shared"], *entry["passes"]], strict=True):
                for name, tensor in source.items():
                    if name not in target:
                        target[name] = torch.empty_like(tensor, device=self.device.device)
                    with torch.cuda.stream(stream):
                        target[name].copy_(tensor, non_blocking=True)
            if stream is not None:
                stream.synchronize()
            self.renderers.release(slot)
            entry["counts"] = counts
            self.fresh.put(entry)

    def _sources(self, slot: int) -> list[dict[str, Tensor]]:
        """A slot's arrays as tensors; its memory is pinned once, so that copies need no staging and no time of ours."""
        shared, passes = self.renderers.views(slot)
        if self.cuda:
            address = shared["pixels"].__array_interface__["data"][0]
            status = torch.cuda.cudart().cudaHostRegister(address, self.budget.nbytes(), 0)
            if int(status) != 0:
                print(f"slot {slot} could not be pinned (status {int(status)}): copies will be slower", flush=True)
        return [{name: torch.from_numpy(array) for name, array in group.items()} for group in (shared, *passes)]

    def wait_for_first(self) -> None:
        """Until there is a batch: drawing ahead may take minutes, of which the schedule knows nothing."""
        while self.fresh.empty():
            time.sleep(0.02)

    def next(self) -> None:
        """Copy the next use into the device's inputs."""
        entry, p = self._choose()
        for name, tensor in entry["shared"].items():
            self.device.inputs[name].copy_(tensor)
        for name, tensor in entry["passes"][p].items():
            self.device.inputs[name].copy_(tensor)
        if p + 1 == self.budget.passes:
            entry["done"] = torch.cuda.Event() if self.cuda else None
            if self.cuda:
                entry["done"].record()
            self.ring.put(entry)

    def _choose(self) -> tuple[dict[str, Any], int]:
        began = time.perf_counter()
        while True:
            try:
                entry = self.fresh.get(timeout=0.0005 if self.later else 0.05)
            except queue.Empty:
                if not self.later:
                    continue
                self.counts["again"] += 1
                entry, p = self.later.pop(0)
                self._keep(entry, p)
                return entry, p
            self.counts["fresh"] += 1
            for key, name in (("pictures", "pictures"), ("visual", "visual"), ("text", "text"), ("labels", "labels"),
                              ("ms", "milliseconds")):  # fmt: skip
                self.counts[key] += entry["counts"][name]
            self._keep(entry, 0)
            self.waited += time.perf_counter() - began
            return entry, 0

    def _keep(self, entry: dict[str, Any], p: int) -> None:
        if p + 1 < self.budget.passes:
            self.later.append((entry, p + 1))
            if len(self.later) > 6:  # enough fresh ones: let the oldest second use go
                old, _ = self.later.pop(0)
                self.ring.put(old)


class Run:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, Path(args.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.log_file = (self.out / "log.jsonl").open("a", encoding="utf-8")
        self.atlas_drawn, self.end = self.out / "atlas-drawn", self.out / "end"  # rank 0's word to the others
        if RANK == 0:
            self.atlas_drawn.unlink(missing_ok=True)
            self.end.unlink(missing_ok=True)
        self.budget = replace(TINY_BUDGET if args.tiny else Budget(), **json.loads(args.budget))
        self.shape = replace(TINY_SHAPE if args.tiny else Shape(), vocab_size=padded_vocab_size())
        self.plan = Plan(grown=args.init is not None, peak=args.peak, decay=args.decay)
        self.ramp_started: float | None = None

    def log(self, **entry: Any) -> None:
        if RANK > 0:
            return
        line = json.dumps(entry, ensure_ascii=False)
        print(line, flush=True)
        self.log_file.write(line + "\n")
        self.log_file.flush()

    def main(self) -> None:
        args = self.args
        begin = time.monotonic()
        renderers = Renderers(self.budget, args.workers, args.workers + args.slots, args.seed * RANKS + RANK)
        threading.Thread(target=self.start_drawing, args=(renderers,), daemon=True).start()
        renderers.progress[0], renderers.progress[1] = (1.0, 1.0) if self.plan.grown else (0.0, 0.0)
        evaluator = None
        if args.evaluate_every and RANK == 0:
            from training.evaluate import TeacherForced

            evaluator = TeacherForced(self.budget, args.evaluate_pages)  # draws in a process of its own
        torch.manual_seed(args.seed)
        torch.set_float32_matmul_precision("high")
        device = torch.device("cuda", RANK) if torch.cuda.is_available() else torch.device("cpu")
        if device.type == "cuda":
            torch.cuda.set_device(device)
        if RANKS > 1:
            cuda = device.type == "cuda"
            dist.init_process_group("nccl" if cuda else "gloo", device_id=device if cuda else None)
        network = Network(self.shape).to(device)
        if args.init:
            load_weights(network, Path(args.init))
        torch.manual_seed(args.seed + RANK)  # the same weights, another noise
        trainer = Device(network, self.budget, device)
        trainer.load(empty_batch(self.budget))
        self.log(event="start", seconds=round(time.monotonic() - begin, 1), device=str(device),
                 parameters=sum(p.numel() for p in network.parameters()), budget=asdict(self.budget),
                 shape=asdict(self.shape), torch=torch.__version__)  # fmt: skip
        trainer.prepare()
        self.log(event="compiled", seconds=round(time.monotonic() - begin, 1))
        feeder = Feeder(renderers, trainer)
        feeder.wait_for_first()
        self.log(event="drawing", seconds=round(time.monotonic() - begin, 1))
        self.loop(renderers, trainer, feeder, evaluator)
        renderers.stop()
        if RANKS > 1:
            _assert_equal_everywhere(trainer.parameters)
            trainer.release_graph()  # NCCL waits for graphs that hold its transfers: with one alive, no rank would end
            dist.destroy_process_group()

    def start_drawing(self, renderers: Renderers) -> None:
        """Draw every hanzi once for all processes (while the step compiles), then let them go."""
        while RANK > 0 and not self.atlas_drawn.exists():
            time.sleep(0.1)
        if self.args.atlas and RANK == 0:
            command = [sys.executable, "-m", "training.fonts", str(pack_folder()), "--atlas", str(self.args.atlas)]
            began = time.monotonic()
            subprocess.run(command, check=False)
            self.log(event="atlas", seconds=round(time.monotonic() - began, 1))
        if RANK == 0:
            self.atlas_drawn.touch()
        renderers.go.set()

    def loop(self, renderers: Renderers, trainer: Device, feeder: Feeder, evaluator: Any) -> None:
        args, total, begin = self.args, self.args.minutes * 60, time.monotonic()
        step, reading, last_log, last_save = 0, 9.0, time.monotonic(), time.monotonic()
        next_evaluation = args.evaluate_every
        recent: list[Any] = []
        while not self.is_over(step, (elapsed := time.monotonic() - begin) >= total):
            progress = step / args.steps if args.steps else elapsed / total
            trainer.rate.fill_(self.plan.rate(progress))
            trainer.reading_weight.fill_(self.plan.reading_weight(progress))
            feeder.next()
            trainer.run()
            step += 1
            if trainer.graph is not None:
                recent.append(torch.cuda.Event())
                recent[-1].record()
                if len(recent) > 4:
                    recent.pop(0).synchronize()
            now = time.monotonic()
            if now - last_log >= args.log_every:
                reading = self.report(trainer, feeder, step, elapsed, now - last_log)
                self.curriculum(renderers, progress, reading)
                last_log = now
            if evaluator is not None and elapsed >= next_evaluation:
                self.log(event="evaluation", minutes=round(elapsed / 60, 2), **evaluator.run(trainer))
                next_evaluation = elapsed + args.evaluate_every
            if now - last_save >= args.save_every and RANK == 0:
                self.save(trainer.network)
                last_save = time.monotonic()
        if evaluator is not None:
            self.log(event="evaluation", minutes=round((time.monotonic() - begin) / 60, 2), **evaluator.run(trainer))
        if RANK == 0:
            self.save(trainer.network)
        self.log(event="end", seconds=round(time.monotonic() - begin, 1), steps=step)

    def is_over(self, step: int, time_is_up: bool) -> bool:
        """Rank 0 names the last step when the time is up; a step waits for all ranks, so none can be past it."""
        if self.args.steps:
            return step >= self.args.steps
        if RANKS == 1:
            return time_is_up
        if RANK == 0 and time_is_up and not self.end.exists():
            new = self.end.with_name("end.new")
            new.write_text(str(step + STEPS_TO_THE_END))
            os.replace(new, self.end)
        return step % 8 == 0 and self.end.exists() and step >= int(self.end.read_text())

    def report(self, trainer: Device, feeder: Feeder, step: int, elapsed: float, span: float) -> float:
        answer, reading, norm, steps = trainer.totals.tolist()
        trainer.totals.zero_()
        c = feeder.counts
        fresh = max(1, c["fresh"])
        self.log(
            event="step", step=step, minutes=round(elapsed / 60, 2), loss=round(answer / steps, 4),
            reading=round(reading / steps, 4), norm=round(norm / steps, 2), rate=round(trainer.rate.item(), 3),
            steps_per_s=round(steps / span, 2), pictures_per_s=round(c["pictures"] / span), fresh=c["fresh"],
            again=c["again"], waited=round(feeder.waited / span, 2), pictures=round(c["pictures"] / fresh),
            visual=round(c["visual"] / fresh), text=round(c["text"] / fresh), labels=round(c["labels"] / fresh),
            batch_ms=round(c["ms"] / fresh),
        )  # fmt: skip
        for key in c:
            c[key] = 0
        feeder.waited = 0.0
        return reading / max(1.0, steps)

    def curriculum(self, renderers: Renderers, progress: float, reading: float) -> None:
        """Full pages only once the reading head has left its plateau (character frequencies, about 5)."""
        if self.plan.grown:
            return
        if self.ramp_started is None and (reading < 3.3 or progress > self.plan.latest_ramp_start):
            self.ramp_started = progress
        if self.ramp_started is not None:
            renderers.progress[0] = min(1.0, 0.02 + (progress - self.ramp_started) / self.plan.ramp)
        renderers.progress[1] = min(1.0, progress / self.plan.strength)

    def save(self, network: Network) -> None:
        state = {name: t.detach().cpu() for name, t in network.state_dict().items()}
        torch.save(state, self.out / "new.pt")
        os.replace(self.out / "new.pt", self.out / "last.pt")
        write_folder(self.out / "checkpoint", self.shape)
        write_weights(self.out / "checkpoint", state, self.shape)
        reading = {name: t.bfloat16().contiguous() for name, t in state.items() if name.startswith("reading.")}
        save_file(reading, self.out / "checkpoint" / READING_FILE)  # not shipped; lets `--init` go on where this ended


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=26.0, help="of learning, from the first step on")
    parser.add_argument("--steps", type=int, default=0, help="end after so many steps (schedules then follow steps)")
    parser.add_argument("--out", default="run")
    parser.add_argument("--init", help="start from this checkpoint folder instead of fresh weights")
    parser.add_argument("--peak", type=float, default=1.0, help="scales both learning rates")
    parser.add_argument("--decay", type=float, default=0.45, help="share of the time in which the rate falls to zero")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) // RANKS - 3))
    parser.add_argument("--atlas", type=int, default=0, help="draw all hanzi ahead with so many processes (about 1 GB)")
    parser.add_argument("--slots", type=int, default=6, help="batches ready or in transit beside those being drawn")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", default="{}", help="JSON overrides of training.batches.Budget")
    parser.add_argument("--tiny", action="store_true", help="a small network and batch, to check the code on a CPU")
    parser.add_argument("--log-every", type=float, default=5.0)
    parser.add_argument("--save-every", type=float, default=120.0)
    parser.add_argument("--evaluate-every", type=float, default=90.0, help="seconds; 0 = never")
    parser.add_argument("--evaluate-pages", type=int, default=160, help="pages of each held-out set")
    Run(parser.parse_args()).main()


if __name__ == "__main__":
    main()

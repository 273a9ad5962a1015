"""Where a training step's time goes on this machine: `python -m training.measure`.

Draws a few full batches in this process (printing the drawing time per picture), compiles and captures the step, times
replays, and lists the kernels that take longest. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import torch

from training.batches import BatchWriter, Budget
from training.drawer import Drawer
from training.encoding import Encoder
from training.network import Network, Shape
from training.renderers import fill
from training.tokenizer import padded_vocab_size
from training.train import Device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="{}", help="JSON overrides of training.batches.Budget")
    parser.add_argument("--replays", type=int, default=40)
    args = parser.parse_args()
    budget = replace(Budget(), **json.loads(args.budget))
    buffer = bytearray(budget.nbytes())
    drawer = Drawer(budget, 0)
    began = time.perf_counter()
    counts = fill(BatchWriter(budget, Encoder(), buffer), drawer, lambda: (1.0, 1.0))
    drawing = time.perf_counter() - began
    print(f"drawn in {drawing:.2f} s, {1000 * drawing / counts['pictures']:.2f} ms a picture: {counts}", flush=True)
    torch.set_float32_matmul_precision("high")
    device = torch.device("cuda")
    trainer = Device(Network(Shape(vocab_size=padded_vocab_size())).to(device), budget, device)
    shared, passes = budget.views(buffer)
    trainer.load({**shared, **passes[0]})
    began = time.perf_counter()
    trainer.prepare()
    print(f"compiled and captured in {time.perf_counter() - began:.1f} s", flush=True)
    trainer.rate.fill_(0.1)
    trainer.run()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(args.replays):
        trainer.run()
    end.record()
    torch.cuda.synchronize()
    step_ms = begin.elapsed_time(end) / args.replays
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(3):
            trainer.run()
        torch.cuda.synchronize()
    print(profile.key_averages().table(sort_by="cuda_time_total", row_limit=28, max_name_column_width=70))
    per_picture = 1000 * drawing / counts["pictures"]
    print(json.dumps({"step_ms": round(step_ms, 2), "drawing_ms_per_picture": round(per_picture, 2),
                      "memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1), **counts}))  # fmt: skip


if __name__ == "__main__":
    main()

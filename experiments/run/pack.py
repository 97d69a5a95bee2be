"""The network of a finished run in files of few bytes, beside its checkpoint."""

from dataclasses import replace

import torch

from bcnn_prune.compression import storage
from bcnn_prune.compression.cluster import clustered
from bcnn_prune.compression.sparse import nonzero_macs
from bcnn_prune.evaluation.accuracy import evaluate
from bcnn_prune.files import folder_lock
from bcnn_prune.metadata import ModelCard
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.protocol import RunAborted
from bcnn_prune.records import PackedNetwork
from experiments.run.flow import Flow
from experiments.run.record import run_folder
from experiments.run.run import Run


def packed(run: Run, flow: Flow, model: BilinearCNN) -> tuple[PackedNetwork, ...]:
    """The network with weights that share values, by their bits: as written to the run's folder, and read again."""
    return tuple(_packed(run, flow, model, bits) for bits in flow.packed_bits)


def _packed(run: Run, flow: Flow, model: BilinearCNN, bits: int) -> PackedNetwork:
    path = run_folder(flow.settings, flow.experiment, run.info) / f"model-{bits}bit{storage.SUFFIX}"

    def written() -> tuple[BilinearCNN, int]:
        shared = clustered(model, bits).cpu()
        with folder_lock(path.parent, lambda: run.context.callback.on_wait(path.parent)):
            storage.save(path, shared, ModelCard(model.spec, run.info.class_names, run.info.name, run.info.side))
            read, _ = storage.load(path)
            size = path.stat().st_size
        pairs = zip(shared.state_dict().values(), read.state_dict().values(), strict=True)
        if not all(torch.equal(one, other) for one, other in pairs):
            raise RunAborted(f"{path} does not hold the network that was written")
        return read, size

    read, size = run.on_rank_zero(written)
    nonzero = sum(int(parameter.count_nonzero()) for parameter in read.parameters())
    read, context = read.to(model.device), run.context
    val = evaluate(read, context.val, replace(context.execution, autocast=None))
    test = context.evaluate_test(read).evaluation
    return PackedNetwork(bits, size, nonzero, val, test, nonzero_macs(read, run.info.side))

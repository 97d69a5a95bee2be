"""What every flow does before its first cut: find the images, train the dense network, then the sparse one from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from rich.console import Console
from rich.text import Text

from bcnn_prune.data.format import describe
from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.execution import Execution
from bcnn_prune.layers import Norm
from bcnn_prune.model.init import at_own_widths, fresh, pretrained
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import RunCallback, RunContext, TrainedNetwork, train_phase
from bcnn_prune.protocol import require_learned
from bcnn_prune.pruning.budget_split import drop_counts
from bcnn_prune.pruning.narrow import with_narrowed_trunk
from bcnn_prune.pruning.select import min_widths, require_possible
from bcnn_prune.pruning.sparsity import l1_shortfall
from bcnn_prune.records import DatasetInfo, Recipe
from bcnn_prune.spec import ModelSpec
from experiments.recipes import Recipes
from experiments.run import datasets
from experiments.run.console import TerminalCallback, terminal
from experiments.run.device import autocast_for, device_for, read_splits
from experiments.run.distributed import join_process_group
from experiments.run.estimate import in_words, seconds
from experiments.run.settings import FlowSettings, recipes_for
from experiments.run.tensorboard import TensorBoardCallback


@dataclass(frozen=True)
class Run:
    """Where the flows part: the images, the recipes, and the networks that were trained so far, by name."""

    settings: FlowSettings
    console: Console
    context: RunContext
    info: DatasetInfo
    recipes: Recipes
    networks: Mapping[str, TrainedNetwork] = field(default_factory=dict)

    def start(self) -> BilinearCNN:
        """The network that the dense phase goes on from."""
        if "classifier" in self.networks:
            return self.networks["classifier"].model
        return self.first_weights(self.spec(), self.recipes.weights)

    @property
    def sparse(self) -> BilinearCNN:
        """What is cut."""
        return self.networks["sparse"].model

    def spec(self) -> ModelSpec:
        """The unpruned network of the settings."""
        return unpruned_spec(self.settings, self.info, self.recipes)

    def first_weights(self, spec: ModelSpec, weights: str) -> BilinearCNN:
        """An untrained network on the device: imagenet, tiny, none, or a file."""
        generator = torch.Generator().manual_seed(self.settings.seed)

        def made() -> BilinearCNN:
            if weights == "none":
                return fresh(spec, generator)
            if not self.settings.narrow:
                return pretrained(weights, spec, generator)
            wide = pretrained(weights, at_own_widths(weights, spec), torch.Generator().manual_seed(0))
            return with_narrowed_trunk(fresh(spec, generator), wide)

        return self.context.execution.ranks.on_rank_zero(made).to(self.context.train.device)

    def train(self, name: str, model: BilinearCNN, recipe: Recipe) -> "Run":
        """With one network more: a trained copy of `model`, or what was trained before."""
        return replace(self, networks={**self.networks, name: train_phase(self.context, name, model, recipe)})

    def after_cut(self, narrow: ModelSpec) -> "Run":
        """With the recipes for the share that a cut to `narrow` took, where it was a budget that decided."""
        if not self.settings.cutting().by_budget:
            return self
        whole = self.spec().channels
        self.console.print(f"For the budget {whole - narrow.channels:,} of {whole:,} channels go.")
        return replace(self, recipes=recipes_for(self.settings, self.info, 1 - narrow.channels / whole))


def prepare_run(settings: FlowSettings) -> Run:
    """Find the images and the recipes. Trains nothing; raises ValueError for what could not be trained."""
    console, device = terminal(), device_for(settings.device)
    ranks = join_process_group(device)
    path, info = ranks.on_rank_zero(
        lambda: datasets.find_dataset(settings.dataset, settings.data, settings.classes, console)
    )
    if ranks.rank and describe(path) != info:
        raise ValueError(f"{path} holds other images here than on the machine of rank 0: copy that one's")
    recipes = recipes_for(settings, info)
    callback: RunCallback = TerminalCallback(console)
    if settings.tensorboard and ranks.rank == 0:
        callback = TensorBoardCallback(callback, settings.out / "tensorboard" / info.name / settings.name(info))
    require_trainable(settings, info, recipes, ranks.world)
    splits = read_splits(path, info, device, settings.data_cache)
    context = RunContext(
        train=splits["train"],
        val=splits["val"],
        test=splits["test"],
        data_digest=info.digest,
        seed=settings.seed,
        folder=settings.out / "phases" / info.name,
        callback=callback,
        execution=Execution(autocast_for(settings.precision, device), ranks),
    )
    run = Run(settings, console, context, info, recipes)
    ranks.on_rank_zero(lambda: settings.check_network(run.spec(), info.side))
    cost = total_cost(run.spec(), info.side)
    console.print(
        f"{info.name}: {info.classes} classes, {info.images['train']:,} train, {info.images['val']:,} val and "
        f"{info.images['test']:,} test images at {info.side} px. {run.spec().title}: {cost.params:,} "
        f"parameters, {cost.macs / 1e9:.3f} G multiply-adds. Training on {device.type}"
        f"{f' by {ranks.world} processes, BN statistics {ranks.batch_norm}' if ranks.world > 1 else ''}, trunk in "
        f"{context.execution.autocast or torch.float32}."
    )
    return run


def unpruned_spec(settings: FlowSettings, info: DatasetInfo, recipes: Recipes) -> ModelSpec:
    """The network before any cut. Raises ValueError for one that there is not."""
    return ModelSpec.of(
        settings.backbone,
        info.classes,
        recipes.width,
        settings.head,
        batch_norm=True,
        reduce_to=settings.reduce_to,
        side=info.side,
    )


def require_trainable(settings: FlowSettings, info: DatasetInfo, recipes: Recipes, world: int = 1) -> None:
    """Raise ValueError, before anything is trained, for a run that these images or this network do not allow."""
    spec, cutting = unpruned_spec(settings, info, recipes), settings.cutting()
    if min(step.y.side for step in spec.steps(info.side) if isinstance(step.layer, Norm)) == 1:
        require_statistics(settings, info, recipes, world)
    fewest = min_widths(spec.width_of, cutting.min_channels, cutting.min_share)
    require_possible(spec.width_of, sum(drop_counts(spec.channels, cutting.share)), fewest)


def require_statistics(settings: FlowSettings, info: DatasetInfo, recipes: Recipes, world: int) -> None:
    """Raise ValueError where BN would have a single value to normalise: maps of 1 × 1 of a single image.

    Refused before anything is trained; torch would say so in the midst of an epoch."""
    count = info.images["train"]
    for recipe in (recipes.dense, recipes.sparse, recipes.fine_tune, recipes.soft):
        for size in (min(recipe.batch, count), count % recipe.batch):
            if 0 < size < 2 * world:
                raise ValueError(
                    f"at {info.side} px the last maps are 1 × 1, and a batch of {size} of {count:,} training images "
                    "leaves BatchNorm a single value: take another --batch, or larger images"
                )
    if settings.cutting().recalibrate == 1:
        raise ValueError(f"--recalibrate is 1: at {info.side} px the last maps are 1 × 1; take 2 images or more, or 0")


def train_base_networks(run: Run, tunings: int = 1) -> Run:
    """Train the dense and the sparse network, or read them where they were trained before; on a pretrained trunk the
    classifier first.

    Warns where L1 cannot bring as many scales to zero as will be cut. `tunings` is how often the flow fine-tunes, for
    the time it tells."""
    context, recipes, console = run.context, run.recipes, run.console
    share = run.settings.cutting().share
    model = run.start()
    if context.train.device.type == "cpu" and run.info.kind != "synthetic":
        phases = [recipes.dense, recipes.sparse] + [recipes.fine_tune] * tunings
        if recipes.classifier:
            phases.append(recipes.classifier)
        if run.settings.has_dense_as_long(run.info):
            phases.append(recipes.as_long(recipes.fine_tune.epochs))
        console.print(f"Training will take about {in_words(seconds(context, model, phases))} on this processor.")
    if warning := l1_shortfall(model, recipes.sparse, len(context.train), share):
        console.print(Text("Warning:", "bold"), f"{warning}.")
    if recipes.classifier:
        run = run.train("classifier", model, recipes.classifier)
    run = run.train("dense", run.start(), recipes.dense)
    dense = run.networks["dense"]
    require_learned(dense.history, run.info.classes, "dense")
    if not warning and (warning := l1_shortfall(dense.model, recipes.sparse, len(context.train), share)):
        console.print(Text("Warning:", "bold"), f"{warning}.")
    run = run.train("sparse", dense.model, recipes.sparse)
    require_learned(run.networks["sparse"].history, run.info.classes, "sparse")
    return run


def train_controls(run: Run, tuning: Recipe) -> Run:
    """Train the unpruned networks that a pruned one is held against, which are trained for as many epochs as it.

    "control" is the sparse network fine-tuned by `tuning`. "dense-as-long" is the dense network trained without L1 in
    one phase, where the settings have it on this set: what all the epochs alone are worth."""
    run = run.train("control", run.sparse, tuning)
    if run.settings.has_dense_as_long(run.info):
        run = run.train("dense-as-long", run.start(), run.recipes.as_long(tuning.epochs))
    return run

"""Execution of flows: their phases trained through the cache, their networks pruned, their records written."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from rich.text import Text

from bcnn_prune.evaluation.cost import total_cost
from bcnn_prune.model.network import BilinearCNN
from bcnn_prune.phase import TrainedNetwork, train_phase
from bcnn_prune.protocol import measure_sensitivity, prune, require_learned, scores_of, with_absorbed
from bcnn_prune.pruning.sparsity import l1_shortfall
from bcnn_prune.records import ComparedNetwork, DatasetInfo, PruneStep, Recipe, RunRecord
from bcnn_prune.records.compared import Bits, pack
from bcnn_prune.records.sensitivity import Sensitivity
from bcnn_prune.spec import ModelSpec
from experiments.run.convert import Conversion, convert, unfinished
from experiments.run.estimate import in_words, seconds
from experiments.run.flow import Compared, Deferred, Flow, Initial, OneByOne, Phase, Pruned, T, known, phases_to
from experiments.run.pack import packed
from experiments.run.record import RunResult, finish, reserve
from experiments.run.run import Run, prepare_run, require_trainable_phases
from experiments.run.settings import FlowSettings

Settings = TypeVar("Settings", bound=FlowSettings)


def execute(settings: Settings, flows: Callable[[Settings, DatasetInfo], Iterable[Flow]]) -> None:
    """Run all flows of a command, one after the other."""
    settings.check()
    run = prepare_run(settings)
    planned = tuple(flows(settings.on(run.info), run.info))
    for flow in planned:
        require_trainable_phases(flow, run.info, run.context.execution.ranks.world)
    for flow in planned:
        run.on_rank_zero(partial(reserve, flow, run.info))
    announce_time(run, planned)
    for flow in planned:
        FlowRun(run, flow).finish()


def execute_one(flow: Flow, phase: Phase | None = None) -> None:
    """Execute a run from its first phase to its record, or only as far as `phase`, which stays in the cache."""
    flow.settings.check()
    run = prepare_run(flow.settings)
    require_trainable_phases(flow, run.info, run.context.execution.ranks.world)
    run.on_rank_zero(lambda: reserve(flow, run.info))
    execution = FlowRun(run, flow)
    if phase is None:
        execution.finish()
    else:
        execution.train(phase)


def announce_time(run: Run, flows: Sequence[Flow]) -> None:
    """Print how long training will take on this processor; on synthetic images it takes minutes."""
    if run.context.train.device.type != "cpu" or run.info.kind == "synthetic":
        return
    recipes: dict[ModelSpec, list[Recipe]] = {}
    starts: dict[ModelSpec, Initial] = {}
    for phase in dict.fromkeys(phase for flow in flows for phase in flow.phases):
        start = phases_to(phase)[0].start
        assert isinstance(start, Initial)
        starts.setdefault(known(start.spec), start)
        recipes.setdefault(known(start.spec), []).append(known(phase.recipe))
    models = (run.first_weights(spec, start.weights, start.narrow) for spec, start in starts.items())
    time = sum(seconds(run.context, model, recipes[model.spec]) for model in models)
    run.console.print(f"Training will take about {in_words(time)} on this processor, less where phases are there.")


class FlowRun:
    """A flow in execution: each phase is trained once, or read from the cache, and each cut made once."""

    def __init__(self, run: Run, flow: Flow) -> None:
        self._run, self._flow = run, flow
        self._trained: dict[Phase, TrainedNetwork] = {}
        self._pruned: dict[Pruned, tuple[BilinearCNN, PruneStep]] = {}
        self._base, self._warned = flow.base, False

    def train(self, phase: Phase) -> TrainedNetwork:
        if phase not in self._trained:
            model, recipe = self._model(phase.start), self._resolved(phase.recipe)
            if phase in self._base:
                self._warn_of_weak_l1(model)
            soft = phase.soft
            if isinstance(soft, Deferred):
                soft = self._followed(soft)
            teacher = None if phase.teacher is None else self.train(phase.teacher).model
            self._trained[phase] = train_phase(self._run.context, phase.name, model, recipe, soft, teacher)
        return self._trained[phase]

    def prune(self, pruned: Pruned) -> tuple[BilinearCNN, PruneStep]:
        """The pruned network, and its step without fine-tuning."""
        if pruned not in self._pruned:
            model, cut = self._model(pruned.start), pruned.cut
            if isinstance(cut, Conversion):
                self._pruned[pruned] = convert(self._run.context, model, cut)
                return self._pruned[pruned]
            if isinstance(cut.drop, int):
                cut = replace(cut, drop=cut.drop - (pruned.channels - model.spec.channels))
            self._pruned[pruned] = prune(self._run.context, model, cut)
            if not isinstance(cut.drop, int):
                dropped = pruned.channels - self._pruned[pruned][1].spec.channels
                self._run.console.print(f"For the budget {dropped:,} of {pruned.channels:,} channels go.")
        return self._pruned[pruned]

    def finish(self) -> RunRecord:
        """Train and prune all that the record holds, and write it."""
        flow, model = self._flow, None
        steps = tuple(self._step(node) for node in flow.steps)
        if flow.steps:
            model = self._model(flow.steps[-1])
            steps = (*steps[:-1], replace(steps[-1], packed=packed(self._run, flow, model)))
        sweep = tuple(self._absorbed(pruned) for pruned in flow.sweep)
        compared = tuple(map(self._compared, flow.compared))
        trained = {phase.name: self.train(phase) for phase in flow.networks}
        after_cuts = [*flow.steps, *(network.phase for network in flow.compared)]
        fine_tuned = {node.name: self.train(node) for node in after_cuts if isinstance(node, Phase)}
        recipes = {name: network.recipe for name, network in (trained | fine_tuned).items()}
        correct = {name: self._correct(network) for name, network in trained.items()} if compared else {}
        found = None if flow.one_by_one is None else self._sensitivity(flow.one_by_one)
        return finish(self._run, flow, RunResult(trained, recipes, model, steps, sweep, compared, correct, found))

    def _model(self, network: Initial | Phase | Pruned) -> BilinearCNN:
        match network:
            case Initial():
                return self._run.first_weights(self._resolved(network.spec), network.weights, network.narrow)
            case Pruned():
                return self.prune(network)[0]
            case Phase():
                trained = self.train(network)
                if network in self._base and trained.recipe.trains == "all":
                    require_learned(trained.history, self._run.info.classes, network.name)
                return trained.model

    def _resolved(self, value: T | Deferred[T]) -> T:
        return self._followed(value) if isinstance(value, Deferred) else value

    def _followed(self, value: Deferred[T]) -> T:
        return value.value(*(self.prune(cut)[1] for cut in value.cuts))

    def _step(self, node: Phase | Pruned) -> PruneStep:
        if isinstance(node, Pruned):
            return self.prune(node)[1]
        first, tuned = node.start, self.train(node)
        while isinstance(first, Phase):
            first = first.start
        if isinstance(first, Pruned):
            pruned = self.prune(first)[1]
        else:
            pruned = unfinished(self._run.context, self._model(first), node.name)
        return replace(pruned, fine_tuned=tuned.test, fine_tuning=tuned.history, confusion=tuned.confusion)

    def _compared(self, network: Compared) -> ComparedNetwork:
        run, start, budget = self._run, network.phase.start, network.budget
        run.console.rule(f"{network.selection}, {budget.asked()}")
        trained = self.train(network.phase)
        spec = trained.model.spec
        return ComparedNetwork(
            network.selection,
            budget.keep_macs,
            spec,
            total_cost(spec, run.info.side),
            before=self.prune(start)[1].final if isinstance(start, Pruned) else None,
            val=trained.history.kept.val,
            test=trained.test,
            correct=self._correct(trained),
            keep_ms=budget.keep_ms,
        )

    def _sensitivity(self, alone: OneByOne) -> Sensitivity:
        model, context = self._model(alone.start), self._run.context
        scores = scores_of(context, model, alone.criterion)
        return measure_sensitivity(context, model, scores, alone.criterion, alone.recalibrate, alone.shares)

    def _correct(self, trained: TrainedNetwork) -> Bits:
        return pack(self._run.context.correct_on_test(trained.model).numpy(force=True))

    def _absorbed(self, pruned: Pruned) -> PruneStep:
        step = with_absorbed(self._run.context, self._model(pruned.start), self.prune(pruned)[1])
        return replace(step, confusion=None)  # the record of a sweep would be mostly these

    def _warn_of_weak_l1(self, model: BilinearCNN) -> None:
        """Warn once where L1 cannot bring as many scales to zero as will be cut."""
        run, recipe = self._run, known(self._base[-1].recipe)
        share = self._flow.settings.cutting().share
        if not self._warned and (warning := l1_shortfall(model, recipe, len(run.context.train), share)):
            self._warned = True
            run.console.print(Text("Warning:", "bold"), f"{warning}.")

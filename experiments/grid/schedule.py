"""Order of phases that are trained several at a time, and the epochs that this takes at the least."""

from collections.abc import Iterable

from experiments.run.flow import Phase, needs


def longest_chains(phases: Iterable[Phase]) -> dict[Phase, int]:
    """Epochs of the longest chain of phases that starts with each one: nothing ends the whole sooner.

    Phases come after those that they need; those that are not among them count as trained. Sorted by their chains,
    longest first, they are in order of urgency, and still each after those that it needs."""
    chains = {phase: phase.epochs for phase in phases}
    for phase in reversed(chains):
        for before in needs(phase):
            if before in chains:
                chains[before] = max(chains[before], before.epochs + chains[phase])
    return chains


def epochs_at_least(phases: Iterable[Phase], workers: int) -> float:
    """Epochs that `workers` take, each with one phase at a time: the longest chain, or an even share of the whole.

    A list schedule takes less than the sum of both (Graham 1969). That a pruned network's epoch is shorter is left
    out."""
    chains = longest_chains(phases)
    return max([*chains.values(), sum(phase.epochs for phase in chains) / workers], default=0)

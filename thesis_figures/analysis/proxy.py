"""Plans of one cost whose accuracy was read before fine-tuning and after it."""

from scipy.stats import kendalltau

from bcnn_prune.records import RunRecord

EXPERIMENT = "proxy"


def accuracies(record: RunRecord) -> tuple[list[float], list[float]]:
    """Test accuracy of each plan before fine-tuning, and after it."""
    plans = [(network.before.accuracy, network.test.accuracy) for network in record.compared if network.before]
    return [before for before, _ in plans], [after for _, after in plans]


def tau(record: RunRecord) -> tuple[float, float]:
    """Kendall's τ-b of both accuracies over the plans of a record, and the p-value of τ = 0; nan where all tie."""
    found = kendalltau(*accuracies(record))
    return float(found.statistic), float(found.pvalue)

"""The optimizer of a training: what it is made of, and when it is made anew."""

import inspect

HEAD_LR = 1e-3
TRUNK_LR = 1e-4
# Ways of torch's optimizers to do the same, or what is done in one of them alone.
OPTIMIZER_KINDS = {"fused", "foreach", "capturable", "differentiable"}


def choose_options(net, options):
    """skorch's options of an optimizer, with defaults that depend on what is trained."""
    options = dict(options)
    if options["lr"] is None:
        head_first = net.trainable == "head" or net.unfreeze_after
        options["lr"] = HEAD_LR if head_first else TRUNK_LR
    known = inspect.signature(net.optimizer).parameters
    if "weight_decay" in known:
        options.setdefault("weight_decay", net.weight_decay)
    if (
        "fused" in known
        and not OPTIMIZER_KINDS & options.keys()
        and net.device_.type in ("cpu", "cuda")
    ):
        # One pass over the weights and their statistics a step, instead of a dozen.
        options["fused"] = True
    return options


def part_trunk(named_parameters, lr):
    """Two groups of parameters: all others with the optimizer's rate, and the trunk with less."""
    trunk = [p for name, p in named_parameters if name.startswith("extractor.")]
    others = [p for name, p in named_parameters if not name.startswith("extractor.")]
    return [{"params": others}, {"params": trunk, "lr": lr * TRUNK_LR / HEAD_LR}]


class OptimizerSource:
    """The parameters an optimizer was made of, and the learning rates that it began with.

    Parameters
    ----------
    net : CNNClassifier
        With its optimizer.
    """

    def __init__(self, net):
        self.settings = self._describe(net)
        self.rates = [group["lr"] for group in net.optimizer_.param_groups]

    def _describe(self, net):
        return [net.optimizer, net.lr, net.weight_decay, net.get_params_for("optimizer")]

    def is_current(self, net):
        """Whether the parameters of the classifier would give such an optimizer now."""
        return self.settings == self._describe(net)

    def reset_rates(self, optimizer):
        """Have an optimizer of this kind begin with its first rates again."""
        for group, rate in zip(optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate

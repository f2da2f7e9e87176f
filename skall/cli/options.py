"""The commands of ``skall`` and their options.

Nothing heavy is imported, so that the help is quick.
"""

import argparse

from skall import __version__
from skall.cli.values import (
    format_option,
    format_value,
    parse_columns,
    parse_cv,
    parse_names,
    parse_size,
    parse_tune,
    parse_value,
)

DEFAULTS = {
    "backbones": ["resnet18", "mobilenetv2", "squeezenet"],
    "cv": 10,
    "repeats": 1,
    "seed": 0,
    "n_jobs": 1,
}
# Default and help of each parameter of CNNClassifier that text can express. They are written here,
# and not read from the class, because its import takes seconds; a test compares the two.
CLASSIFIER_OPTIONS = {
    "weights": (
        "imagenet",
        "'imagenet': published weights, from <backbone>.safetensors in the folder that the "
        "environment variable SKALL_WEIGHTS names, else downloaded; none: random weights; or a "
        ".safetensors or .pth file",
    ),
    "trainable": (
        "all",
        "'all'; 'head': the trunk is frozen; a number k: the last k stages of the trunk, and the "
        "head",
    ),
    "head": (
        "linear",
        "'linear': global average pooling, dropout, one linear layer; 'mlp': flatten, 256, ReLU, "
        "128, ReLU, dropout, one linear layer",
    ),
    "dropout": (0.2, "probability of dropping an input of the last linear layer"),
    "image_size": (
        None,
        "height and width, in pixels, that images are resized to; none: the backbone's own",
    ),
    "image_shape": (
        None,
        "height,width or height,width,channels of images given as rows of numbers; none: a grey "
        "square, else an RGB square, else a strip one pixel high",
    ),
    "depth": (
        None,
        "bits of a sample that are used, where files have more than 8, as 12 for a camera of 12 "
        "bits whose files have 16; none: what the file says, else all",
    ),
    "augment": (
        None,
        "random changes of the training images: 'talupuri2025' rotates, flips, scales and crops; "
        "'vinod2025' rotates, flips, scales and changes the brightness",
    ),
    "augment_views": (
        1,
        "with --trainable head, how many random views of each image are drawn; their features are "
        "computed once, and epoch e is trained on view e modulo that",
    ),
    "lr": (None, "learning rate; none: 1e-4 where the trunk is trained, 1e-3 for a head alone"),
    "weight_decay": (0.01, "weight decay of the optimizer"),
    "lr_schedule": (
        None,
        "how the learning rate changes: none, 'cosine', 'plateau' or 'step'",
    ),
    "warmup_epochs": (0, "epochs of linear warm-up, before the schedule begins"),
    "unfreeze_after": (
        0,
        "epochs in which only the head is trained; then the trunk is trained too, at a tenth of "
        "the head's learning rate",
    ),
    "max_epochs": (20, "epochs of training, at most"),
    "batch_size": (32, "images in a batch; -1 for all"),
    "early_stopping": (
        False,
        "true: hold out a part of the training images, whole patients where they are known, stop "
        "when its loss no longer falls, and restore the best epoch's weights",
    ),
    "validation_fraction": (0.1, "share of the training images held out for early stopping"),
    "n_iter_no_change": (5, "epochs without improvement before training stops early"),
    "tol": (1e-4, "smallest fall of the loss that counts as an improvement"),
    "ema_decay": (
        None,
        "decay of an exponential moving average of the weights, as 0.99, which validation and "
        "prediction use; none: no average",
    ),
    "class_weight": (None, "weight of each class in the loss: none, 'balanced', or a dict"),
    "device": (
        "auto",
        "'auto': CUDA, then MPS, then the CPU, and parallel workers share the GPUs; or a device "
        "of torch, as cuda:1",
    ),
    "keep_on_device": (False, "true: leave the fitted weights on the device"),
    "precision": (
        "auto",
        "'float32' or 'bfloat16', for the trunk; 'auto': bfloat16 where it was measured to be "
        "faster for this kind of backbone and device",
    ),
    "memory": (
        "auto",
        "cache of decoded images and of a frozen trunk's features; 'auto': FOLDER/cache with "
        "--out, else in this process, 1 GB at most; a folder: there; none: no cache",
    ),
    "warm_start": (False, "true: another fit continues from the weights of the last"),
    "compile": (
        False,
        "true: torch.compile the trunk, which takes minutes in each process and needs a C++ "
        "compiler; results differ by rounding",
    ),
}
EXIT_CODES = """exit codes:
  0  done
  1  an error in skall or in what it runs, with its traceback; or a network failed in some folds,
     which a warning names, and the results are without those
  2  a mistake in what was asked for, or a file that cannot be read or written; the message says
     what to do
  130  interrupted; finished folds are kept
"""
COMPARE_EXAMPLES = f"""examples:
  skall compare --out report
      three networks on synthetic cells, in about two minutes
  skall compare DATA --backbones mobilenetv2,resnet50 --cv 10 --repeats 3 \\
      --scoring roc_auc,f1,sensitivity_at_95_specificity --out report
      ten folds, three times; the same command resumes after an interruption
  skall compare DATA --trainable head --cv 5 --quiet --json > results.json
      frozen trunks; nothing but JSON on the standard output

{EXIT_CODES}"""
REPORT_EXAMPLES = f"""examples:
  skall report report
      report/report.html and its figures, from the tables in report/
  skall report report --out paper/index.html
  skall report report --json

{EXIT_CODES}"""
TUNING = """\
skall compare DATA --tune lr=1e-4,1e-3 --tune dropout=0,0.2,0.5 tries six combinations for
every network, within the training part of each fold; with --strategy optuna --trials 4 it
tries four."""


def make_parser():
    """Make the parser of ``skall``, whose result has the command's name and its options.

    Returns
    -------
    argparse.ArgumentParser
    """
    parser = argparse.ArgumentParser(
        prog="skall",
        description="Compare convolutional networks on blood-cell images.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"skall {__version__}",
        help="print the version and exit",
    )
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    compare = commands.add_parser(
        "compare",
        help="cross-validate backbones over the same folds",
        description="Cross-validate backbones over the same folds, patient by patient.",
        epilog=COMPARE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    _add_compare_options(compare)
    _add_tuning_options(compare.add_argument_group("tuning and ensembles", TUNING))
    group = compare.add_argument_group("parameters of every network (skall.CNNClassifier)")
    for name, (default, text) in CLASSIFIER_OPTIONS.items():
        group.add_argument(
            format_option(name),
            type=parse_value,
            metavar="VALUE",
            help=f"{text} (default: {format_value(default)})",
        )
    report = commands.add_parser(
        "report",
        help="write the report of a finished comparison again",
        description="Write the page, tables and model card of a comparison from its stored "
        "results.",
        epilog=REPORT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    report.add_argument("folder", metavar="DIR", help="what skall compare --out has written")
    report.add_argument(
        "--out", metavar="FILE", help="where the page goes (default: DIR/report.html)"
    )
    report.add_argument("--json", action="store_true", help="print the results as JSON instead")
    cache = commands.add_parser(
        "cache",
        help="show, limit or clear a cache on disk",
        description="Show the size of a cache on disk, which --memory FOLDER has made, or "
        "skall compare --out OUT in OUT/cache.",
        allow_abbrev=False,
    )
    cache.add_argument(
        "folder", metavar="FOLDER", help="the folder that --memory named, or OUT/cache"
    )
    cache.add_argument("--limit", type=parse_size, metavar="GB", help="largest size allowed")
    cache.add_argument("--clear", action="store_true", help="remove every array")
    backbones = commands.add_parser(
        "backbones",
        help="list the backbones",
        description="List the backbones: parameters and multiply-accumulates of the trunk, the "
        "shape of its features and the licence of its weights.",
        allow_abbrev=False,
    )
    backbones.add_argument(
        "--json",
        action="store_true",
        help="as JSON, with the source of each network and the address of its weights",
    )
    return parser


def _add_compare_options(parser):
    """Add the options of ``skall compare`` that are not about networks or tuning."""
    add = parser.add_argument
    add(
        "data",
        metavar="DATA",
        nargs="?",
        help="folder or CSV file of labelled images; synthetic cells with small settings if left "
        "out",
    )
    names = ",".join(DEFAULTS["backbones"])
    add("--backbones", type=parse_names, metavar="A,B", help=f"names (default: {names})")
    add(
        "--groups",
        metavar="REGEX",
        help="finds the patient in the names of files in class folders, as '(.+)_[0-9]+'",
    )
    add(
        "--columns",
        type=parse_columns,
        metavar="path=NAME,...",
        help="headings of the CSV file where they are not path, label, group, site, fold",
    )
    add(
        "--cv",
        type=parse_cv,
        metavar="K",
        help=f"folds, or 'fold' for those that the data come with (default: {DEFAULTS['cv']})",
    )
    add(
        "--allow-missing-classes",
        action="store_true",
        help="go on where a part lacks a class, and leave out what cannot be measured there",
    )
    add("--repeats", type=int, metavar="N", help="repeats of the whole split (default: 1)")
    add(
        "--scoring",
        type=parse_names,
        metavar="A,B",
        help="metrics, also sensitivity_at_95_specificity (default: all but that)",
    )
    add("--pos-label", metavar="LABEL", help="the positive class (default: the leukaemic one)")
    add("--seed", type=int, metavar="N", help="of folds and networks (default: 0)")
    add("--n-jobs", type=int, metavar="N", help="worker processes (default: 1)")
    add(
        "--no-baselines",
        dest="baselines",
        action="store_false",
        help="leave the dummy and the shortcuts out",
    )
    add("--out", metavar="FOLDER", help="where results go; the same command resumes there")
    add(
        "--keep-weights",
        action="store_true",
        help="keep the network of every fold in FOLDER/folds/, which skall.load reads",
    )
    add(
        "--error-score",
        choices=("nan", "raise"),
        help="where a network raises in a fold: go on and exit with 1 at the end, or stop there "
        "(default: nan)",
    )
    add("--tracking", metavar="NAME", help="'mlflow' logs a run, with a child for each fold")
    add("--json", action="store_true", help="print the results as JSON, and nothing else")
    add("--quiet", action="store_true", help="no progress bars and no description of the data")


def _add_tuning_options(group):
    add = group.add_argument
    add(
        "--tune",
        action="append",
        type=parse_tune,
        metavar="NAME=A,B",
        help="values of a parameter to choose from, separately in every fold; may be repeated",
    )
    add("--strategy", metavar="NAME", help="grid, halving or optuna (default: grid)")
    add("--trials", type=int, metavar="N", help="combinations to try, for halving and optuna")
    add(
        "--ensembles",
        action="store_true",
        help="add the rows vote and stack, made of the networks' held-out probabilities",
    )

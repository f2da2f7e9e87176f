"""Keras as its tutorials train and fine-tune, with TensorFlow."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf
from keras import layers

from contestants import NotThere
from contestants.inputs import list_files, split_folds
from contestants.timing import Timer, scale_up

HEAD_LR, TRUNK_LR, DROPOUT = 1e-3, 1e-4, 0.2
BUILDERS = {
    "densenet201": (keras.applications.DenseNet201, keras.applications.densenet),
    "mobilenetv2": (keras.applications.MobileNetV2, keras.applications.mobilenet_v2),
    "resnet50": (keras.applications.ResNet50, keras.applications.resnet50),
}


def use_threads(threads):
    """Give TensorFlow as many threads as everybody; it takes the number once in a process."""
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)


def make_model(task, frozen):
    """The application without its top, and the head."""
    if task["network"] not in BUILDERS:
        raise NotThere(f"keras.applications has no {task['network']}")
    build, module = BUILDERS[task["network"]]
    inputs = keras.Input((task["size"], task["size"], 3))
    base = build(include_top=False, weights=None, input_shape=inputs.shape[1:])
    base.trainable = not frozen
    features = base(module.preprocess_input(inputs), training=None if not frozen else False)
    model = keras.Model(inputs, add_head(task["head"], features))
    model.compile(
        optimizer=keras.optimizers.Adam(HEAD_LR if frozen else TRUNK_LR),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def add_head(head, features):
    """A linear head, or P2's Flatten-256-ReLU-128-ReLU, with dropout before the last layer."""
    if head == "linear":
        features = layers.GlobalAveragePooling2D()(features)
    else:
        features = layers.Flatten()(features)
        features = layers.Dense(256, activation="relu")(features)
        features = layers.Dense(128, activation="relu")(features)
    return layers.Dense(1)(layers.Dropout(DROPOUT)(features))


def read_files(paths, targets, task, shuffle):
    """Files as ``keras.utils.image_dataset_from_directory`` reads them, but of chosen rows.

    As many at once as there are threads. Tutorials leave that to TensorFlow, whose search for the
    best number ends an epoch only when it wakes up: after 5.12, 10.24 or 20.48 seconds.
    """

    def read(path, target):
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, (task["size"], task["size"])), target

    dataset = tf.data.Dataset.from_tensor_slices((paths, targets))
    if shuffle:
        dataset = dataset.shuffle(len(paths))
    dataset = dataset.map(read, num_parallel_calls=task["threads"])
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.batch(task["batch_size"]).prefetch(2).with_options(options)


def prepare_training(task):
    """An epoch from files; the model is compiled before."""
    use_threads(task["threads"])
    model = make_model(task, frozen=False)
    dataset = read_files(*list_files(task), task, shuffle=True)

    def run():
        with Timer() as timer:
            model.fit(dataset, epochs=1, verbose=0)
        return {"seconds": {"step": timer.seconds / task["steps"]}, "precision": "float32"}

    return run


def prepare_frozen(task):
    """An epoch and a prediction of the first fold, scaled up to all; compiling is left out."""
    use_threads(task["threads"])
    model = make_model(task, frozen=True)
    paths, targets = list_files(task)
    train, test = split_folds(targets, task["folds"])[0]
    training = read_files(paths[train], targets[train], task, shuffle=True)
    testing = read_files(paths[test], targets[test], task, shuffle=False)

    def run():
        with Timer() as epoch:
            model.fit(training, epochs=1, verbose=0)
        with Timer() as prediction:
            model.predict(testing, verbose=0)
        return {**scale_up(epoch.seconds, prediction.seconds, task), "precision": "float32"}

    return run

#!/usr/bin/env python3
"""Make five models of different quality, for `cutter demo` to choose among.

    python3 -m venv .venv
    .venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6
    .venv/bin/python train_models.py

It takes about a minute, no options, reads digits.bin, and writes the files below beside itself;
all numbers in them are little-endian. Run twice on one machine with these versions, it writes the
same bytes. On another machine sums may be rounded otherwise, and training may then end in other
weights and other classes: commit all files together.

The models differ because some saw few images and some have little room. How few and how little was
chosen by the held-out images, so that accuracies spread: they rank these models, and say less of
how well such models do on images that nobody looked at.

    linear         a weight for each pixel and class       the first 150 training images
    mlp-small      8 hidden units                          the first 300
    neighbours     the class of the nearest image          the first 200, which are the model
    forest         100 trees, 5 questions deep             all 1,297, drawn anew for each tree
    mlp-large      96 hidden units                         all, each also shifted to 8 sides

linear.bin has the format of weights.bin, which train.py describes, and meets the rows as they are.
The others meet whole pixels, round(128 x value), and count in whole numbers, so that any language
finds the same classes. Among equal scores, votes or distances the first wins.

mlp-small.bin, mlp-large.bin:
    8 bytes   magic "CUTMLP_1"
    u32       hidden units
    int8      weights [hidden][784], then int32 biases [hidden]
    int8      weights [10][hidden], then int32 biases [10]
    A hidden unit is max(0, bias + sum of weight x pixel) >> 9, a score is bias + sum of weight x
    hidden unit, and the largest score is the class.

neighbours.bin:
    8 bytes   magic "CUTNEAR1"
    u32       images
    u8        classes [images]
    u8        pixels [images][784], 0 to 128
    The smallest sum of squared differences is the class.

forest.bin:
    8 bytes   magic "CUTTREES"
    u32       trees
    u32       depth, the number of questions that a tree asks
    trees x   2^depth - 1 questions: u16 pixel, u16 threshold; then u8 classes [2^depth]
    From question i the way goes on to 2i + 1 where the pixel is at most the threshold, else to
    2i + 2; below the last questions lie the classes in order. Most votes are the class.

golden_models.txt, what every other implementation must find on the held-out images, one line for
each model and for each twentieth of the forest: name, images right, and all classes, one digit
each.
"""

import struct
import warnings

# Before numpy: it also sets the number of threads.
from train import CLASSES, HERE, SIDE_SCALED, logits, report, scale, write, write_weights

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

SEED = 2017
INK = 128
LINEAR_IMAGES = 150
LINEAR_REGULARISATION = 0.1  # scikit-learn's C
SMALL_IMAGES = 300
SMALL_UNITS = 8
LARGE_UNITS = 96
LARGE_SHIFT = 2  # pixels of 28
NEIGHBOURS = 200
TREES = 100
TREE_DEPTH = 5
TREES_OF_PART = 5
WEIGHT_MAX = 127
SHIFT = 9


def main():
    rows, labels, held_out = read_digits()
    pixels = np.floor(rows * INK + 0.5).astype(np.int64)
    seen, known = pixels[:-held_out], labels[:-held_out]
    asked, truth = pixels[-held_out:], labels[-held_out:]

    linear = linear_model(rows[:-held_out], known, rows[-held_out:])
    small = network(seen[:SMALL_IMAGES], known[:SMALL_IMAGES], SMALL_UNITS, 400)
    large = network(*shifted(seen, known), LARGE_UNITS, 60)
    trees = RandomForestClassifier(TREES, max_depth=TREE_DEPTH, random_state=SEED)
    trees.fit(seen, known)
    write_network("mlp-small.bin", small)
    write_network("mlp-large.bin", large)
    write_neighbours(seen[:NEIGHBOURS], known[:NEIGHBOURS])
    write_forest(trees)

    of_trees = np.array([tree.predict(asked) for tree in trees.estimators_]).astype(np.int64)
    found = {
        "linear": linear,
        "mlp-small": network_classes(small, asked),
        "neighbours": nearest(seen[:NEIGHBOURS], known[:NEIGHBOURS], asked),
        "forest": vote(of_trees),
        "mlp-large": network_classes(large, asked),
    }
    parts = {
        f"forest-{first}-{TREES_OF_PART}": vote(of_trees[first : first + TREES_OF_PART])
        for first in range(0, TREES, TREES_OF_PART)
    }
    write_golden(found | parts, truth)
    for name, classes in found.items():
        report(name, classes, truth)
    report_parts(parts, truth)
    report_ensemble(np.array(list(found.values())), truth)


def read_digits():
    """All rows and labels, and how many of them, the last ones, are held out."""
    data = (HERE / "digits.bin").read_bytes()
    magic, count, _, held_out = struct.unpack_from("<8s3I", data)
    assert magic == b"CUTDIGIT"
    images = np.frombuffer(data, np.uint8, offset=20).reshape(count, -1)
    return scale(images[:, 1:]), images[:, 0].astype(np.int64), held_out


def linear_model(seen, known, asked):
    """Writes the weights, and gives the classes that they give."""
    model = LogisticRegression(C=LINEAR_REGULARISATION, max_iter=5000, tol=1e-6)
    model.fit(seen[:LINEAR_IMAGES].astype(np.float64), known[:LINEAR_IMAGES])
    weights = np.ascontiguousarray(model.coef_.T, dtype=np.float32)
    biases = model.intercept_.astype(np.float32)
    write_weights(weights, biases, "linear.bin")
    return logits(asked, weights, biases).argmax(axis=1)


def shifted(pixels, labels):
    """Every image as it is, and moved by LARGE_SHIFT pixels to each side and corner."""
    images = pixels.reshape(-1, SIDE_SCALED, SIDE_SCALED)
    steps = (-LARGE_SHIFT, 0, LARGE_SHIFT)
    moved = [np.roll(images, (down, right), axis=(1, 2)) for down in steps for right in steps]
    return np.concatenate(moved).reshape(-1, pixels.shape[1]), np.tile(labels, len(moved))


def network(pixels, labels, units, epochs):
    """Two layers of whole weights, [outputs][inputs], and their biases."""
    model = MLPClassifier(
        (units,), alpha=1e-3, learning_rate_init=0.002, max_iter=epochs, tol=0, random_state=SEED
    )
    with warnings.catch_warnings():
        # The epochs are counted out: more of them would fit the training images only.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(pixels / INK, labels)
    layers = []
    scale_of_inputs = INK  # by how much whole inputs are larger than the network's own
    for weights, biases in zip(model.coefs_, model.intercepts_):
        factor = WEIGHT_MAX / np.abs(weights).max()
        whole = np.rint(weights.T * factor).astype(np.int64)
        layers.append((whole, np.rint(biases * factor * scale_of_inputs).astype(np.int64)))
        scale_of_inputs *= factor / 2**SHIFT
    return layers


def network_classes(layers, pixels):
    (weights, biases), (weights_of_scores, biases_of_scores) = layers
    hidden = np.maximum(pixels @ weights.T + biases, 0) >> SHIFT
    return (hidden @ weights_of_scores.T + biases_of_scores).argmax(axis=1)


def nearest(prototypes, classes, pixels):
    distances = [((prototypes - image) ** 2).sum(axis=1) for image in pixels]
    return classes[np.argmin(distances, axis=1)]


def vote(classes):
    """The class that most rows name, for each column."""
    return np.array([np.bincount(column, minlength=CLASSES).argmax() for column in classes.T])


def write_network(name, layers):
    header = struct.pack("<8sI", b"CUTMLP_1", len(layers[0][0]))
    body = [
        weights.astype(np.int8).tobytes() + biases.astype("<i4").tobytes()
        for weights, biases in layers
    ]
    write(name, header + b"".join(body))


def write_neighbours(pixels, classes):
    header = struct.pack("<8sI", b"CUTNEAR1", len(classes))
    body = classes.astype(np.uint8).tobytes() + pixels.astype(np.uint8).tobytes()
    write("neighbours.bin", header + body)


def write_forest(trees):
    header = struct.pack("<8s2I", b"CUTTREES", TREES, TREE_DEPTH)
    write("forest.bin", header + b"".join(map(whole_tree, trees.estimators_)))


def whole_tree(estimator):
    """A tree filled up to its full depth: a leaf that is reached early has its class below it."""
    tree = estimator.tree_
    questions = np.zeros((2**TREE_DEPTH - 1, 2), "<u2")
    classes = np.zeros(2**TREE_DEPTH, np.uint8)

    def fill(node, at):
        is_leaf = tree.children_left[node] < 0
        if at >= len(questions):
            assert is_leaf
            classes[at - len(questions)] = tree.value[node].argmax()
            return
        if not is_leaf:
            # Pixels are whole: at most 2.5 is at most 2.
            questions[at] = tree.feature[node], np.floor(tree.threshold[node])
        fill(node if is_leaf else tree.children_left[node], 2 * at + 1)
        fill(node if is_leaf else tree.children_right[node], 2 * at + 2)

    fill(0, 0)
    return questions.tobytes() + classes.tobytes()


def write_golden(found, truth):
    lines = [
        f"{name} {(classes == truth).sum()} {''.join(map(str, classes))}\n"
        for name, classes in found.items()
    ]
    write("golden_models.txt", "".join(lines).encode())


def report_parts(parts, truth):
    accuracies = [(classes == truth).mean() for classes in parts.values()]
    print(
        f"{len(parts)} forests of {TREES_OF_PART} trees: accuracy {min(accuracies):.4f} to "
        f"{max(accuracies):.4f}"
    )


def report_ensemble(found, truth):
    """How wrong the vote of all models is, and how wrong where many of them agree."""
    votes = vote(found)
    right = votes == truth
    agreeing = (found == votes).sum(axis=0)
    print(f"vote of {len(found)}: error {1 - right.mean():.4f}")
    for least in (4, 5):
        sure = agreeing >= least
        print(
            f"at least {least} agree: error {1 - right[sure].mean():.4f}, coverage "
            f"{sure.mean():.4f}; fewer: error {1 - right[~sure].mean():.4f}"
        )


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Make the data and the weights that `cutter demo` serves.

    python3 -m venv .venv
    .venv/bin/pip install scikit-learn==1.9.1 numpy==2.4.6
    .venv/bin/python train.py

It takes about a minute, no options, and writes three files beside itself; all numbers in them
are little-endian. Run twice on one machine with these versions, it writes the same bytes. On
another machine the last bits of the weights may differ, and then the hash of the logits does.

digits.bin, the 1,797 images of sklearn.datasets.load_digits:
    8 bytes   magic "CUTDIGIT"
    u32       count of images
    u32       side of an image in pixels (8)
    u32       held-out images; they are the last ones of the file, training saw none of them
    count x   u8 label 0..9, then 64 u8 pixels 0..16, row by row

weights.bin, a linear model of 784 inputs and 10 classes:
    8 bytes   magic "CUTSMAX1"
    u32       inputs (784)
    u32       classes (10)
    float32   weights [784][10]: all classes of an input together, so that one input meets a
              whole vector of classes
    float32   biases [10]

golden.txt, what every other implementation must find on the held-out images. Hashes are
FNV-1a, 64 bits, over the float32 bytes:
    correct          images whose class is their label
    rows_fnv1a64     all rows, 784 values each
    logits_fnv1a64   all logits, 10 values each, summed in the order of `logits` below
    classes          the predicted class of each image, one digit each

The split is stratified by digit but not by writer: 13 people wrote these images, and each of
them is most likely in both parts. The accuracy is therefore that of known hands.
"""

import os

# One thread, so that sums are always taken in the same order. Must come before numpy.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import struct
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split

HERE = Path(__file__).resolve().parent
SIDE = 8
SIDE_SCALED = 28
PIXEL_MAX = 16
CLASSES = 10
HELD_OUT = 500
SPLIT_SEED = 2017
REGULARISATION = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]  # scikit-learn's C, smaller is stronger
FOLDS = 5
ITERATIONS_MAX = 5000


def main():
    digits = load_digits()
    pixels = digits.data.astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    train, held_out = split(labels)
    rows = scale(pixels)

    c, weights, biases = fit(rows[train], labels[train])
    found = logits(rows[held_out], weights, biases)
    classes = found.argmax(axis=1)
    train_classes = logits(rows[train], weights, biases).argmax(axis=1)

    write_digits(pixels, labels, train, held_out)
    write_weights(weights, biases)
    write_golden(rows[held_out], found, classes, labels[held_out])
    report("training", train_classes, labels[train])
    report("held out", classes, labels[held_out])
    ordered = np.sort(found, axis=1)
    margin = (ordered[:, -1] - ordered[:, -2]).min()
    print(f"C {c}; closest held-out decision: {margin:.6f} between the two best logits")


def split(labels):
    """Indexes of the two parts, each in the order of the data set."""
    train, held_out = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT, stratify=labels, random_state=SPLIT_SEED
    )
    return np.sort(train), np.sort(held_out)


def scale(pixels):
    """8x8 images of 0..16 to rows of 784 float32 of 0..1, bilinear, pixel centres aligned.

    Output x lies at source coordinate (x + 1/2) * 8/28 - 1/2 = (4x - 5) / 14, held to 0..7.
    So both weights are fourteenths, and a value is a whole number of 1/(14 * 14 * 16): all is
    exact until the one division at the end, and any language finds the same bits.
    """
    at = np.clip(4 * np.arange(SIDE_SCALED) - 5, 0, 14 * (SIDE - 1))
    low = np.minimum(at // 14, SIDE - 2)
    high_weight = at - 14 * low
    low_weight = 14 - high_weight
    images = pixels.astype(np.int32).reshape(-1, SIDE, SIDE)
    wide = images[:, :, low] * low_weight + images[:, :, low + 1] * high_weight
    both = wide[:, low, :] * low_weight[:, None] + wide[:, low + 1, :] * high_weight[:, None]
    whole = both.reshape(-1, SIDE_SCALED * SIDE_SCALED).astype(np.float32)
    return whole / np.float32(14 * 14 * PIXEL_MAX)


def fit(rows, labels):
    """Multinomial logistic regression; its strength is chosen inside the training part."""
    search = GridSearchCV(
        LogisticRegression(max_iter=ITERATIONS_MAX, tol=1e-6),
        {"C": REGULARISATION},
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=SPLIT_SEED),
    )
    search.fit(rows.astype(np.float64), labels)
    model = search.best_estimator_
    weights = np.ascontiguousarray(model.coef_.T, dtype=np.float32)
    return search.best_params_["C"], weights, model.intercept_.astype(np.float32)


def logits(rows, weights, biases):
    """The kernel's arithmetic: from the bias, input after input, each product and sum rounded."""
    sums = np.tile(biases, (len(rows), 1))
    for index, of_input in enumerate(weights):
        sums += rows[:, index, None] * of_input
    assert sums.dtype == np.float32
    return sums


def write_digits(pixels, labels, train, held_out):
    header = struct.pack("<8s3I", b"CUTDIGIT", len(labels), SIDE, len(held_out))
    order = np.concatenate([train, held_out])
    images = np.column_stack([labels[order], pixels[order]])
    write("digits.bin", header + images.tobytes())


def write_weights(weights, biases, name="weights.bin"):
    header = struct.pack("<8s2I", b"CUTSMAX1", *weights.shape)
    body = weights.astype("<f4").tobytes() + biases.astype("<f4").tobytes()
    write(name, header + body)


def write_golden(rows, found, classes, labels):
    lines = [
        f"correct {(classes == labels).sum()}",
        f"rows_fnv1a64 {fnv1a64(rows.astype('<f4').tobytes()):016x}",
        f"logits_fnv1a64 {fnv1a64(found.astype('<f4').tobytes()):016x}",
        f"classes {''.join(map(str, classes))}",
    ]
    write("golden.txt", "\n".join(lines).encode() + b"\n")


def fnv1a64(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def write(name, data):
    (HERE / name).write_bytes(data)
    print(f"{name}: {len(data)} bytes")


def report(part, classes, labels):
    correct = (classes == labels).sum()
    print(f"{part}: {correct} of {len(labels)} right, accuracy {correct / len(labels):.4f}")


if __name__ == "__main__":
    main()

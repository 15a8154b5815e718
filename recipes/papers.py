"""How six papers trained their networks, and what to do without a paper.

Where a paper is silent, its authors' code was asked; what could not be had in
either, or not be built here, stands in `differs`.
"""

import math
from typing import Literal, get_args

from dropzoo.recipes.paper import (
    Paper,
    drops,
    line,
    named,
    narrower,
    shallower,
)

PaperName = Literal[
    "stochastic-depth",
    "snapshot",
    "fractional-max-pooling",
    "dropconnect",
    "stochastic-pooling",
    "maxout",
]

STOCHASTIC_DEPTH = Paper(
    reference="Huang et al., Deep Networks with Stochastic Depth, 2016, "
    "section 4",
    data="cifar10",
    model="resnet110_cifar",
    options={"stochastic_depth": 0.5, "skip": True},
    epochs=500,
    batch_size=128,
    rate=0.1,
    schedule=drops((0.5, 0.75), (0.1, 0.01)),
    schedule_text="0.1, divided by 10 after 1/2 and 3/4 of the epochs",
    nesterov=True,
    l2=1e-4,
    augmentation=("shift", "flip"),
    published="5.25 % on CIFAR-10 (constant depth: 6.41 %)",
    smaller=shallower(110, step=6, rest=2),
    differs="Kept branches are scaled in training, not at inference.",
)

SNAPSHOT = Paper(
    reference="Huang et al., Snapshot Ensembles: Train 1, Get M for Free, "
    "2017, section 4.1",
    data="cifar10",
    model="densenet40",
    epochs=300,
    batch_size=64,
    rate=0.2,
    schedule=named("snapshot", cycles=6),
    schedule_text="0.2, falling along half a cosine in each of 6 cycles",
    cycles=6,
    l2=1e-4,
    augmentation=("shift", "flip"),
    published="4.84 % on CIFAR-10 by the ensemble (one training: 5.24 %)",
    smaller=narrower(growth=12),
    differs="Weight decay and the momentum of 0.9 are those of the DenseNet "
    "paper.",
)

FRACTIONAL_MAX_POOLING = Paper(
    reference="Graham, Fractional Max-Pooling, 2014, section 4.4, and its "
    "author's code",
    data="cifar10",
    model="fmp_cifar",
    epochs=510,
    batch_size=50,
    rate=0.003,
    schedule=named("exponential", final_share=math.exp(-0.005 * 510)),
    schedule_text="0.003, multiplied by exp(-0.005) in each epoch",
    momentum=0.99,
    augmentation=("affine", "flip", "colour"),
    plain_epochs=10,
    published="4.50 % on CIFAR-10 with one pass, 3.47 % with 100",
    smaller=narrower(filters=160),
    differs="Colours stay as they are in the last 10 epochs as well.",
)

DROPCONNECT = Paper(
    reference="Wan et al., Regularization of Neural Networks using "
    "DropConnect, 2013, section 6.1",
    data="tfds:mnist",
    model="lenet5",
    options={
        "filters": (32, 64),
        "units": (150,),
        "own_pooling": "max",
        "own_activation": "relu",
        "dropconnect": 0.5,
    },
    image_size=28,
    epochs=1500,
    batch_size=128,
    rate=0.01,
    schedule=drops(
        (7 / 15, 9 / 15, 11 / 15, 12 / 15, 13 / 15, 14 / 15),
        (0.5, 0.1, 0.05, 0.01, 0.005, 0.001),
    ),
    schedule_text="0.01 for 700 epochs, times 0.5 and 0.1 for 200 each, times "
    "0.05, 0.01, 0.005 and 0.001 for 100 each",
    momentum=0.0,
    augmentation=("shift", "affine"),
    published="0.21 % on MNIST by five networks (dropout: 0.27 %)",
    smaller=narrower(filters=(32, 64), units=(150,)),
    differs="Shifts stand for crops of 24 pixels, one network for five, and "
    "the mean of a connection for 1,000 draws at inference.",
)

STOCHASTIC_POOLING = Paper(
    reference="Zeiler and Fergus, Stochastic Pooling for Regularization of "
    "Deep Convolutional Neural Networks, 2013, section 4",
    data="cifar10",
    model="stochastic_pooling_cnn",
    epochs=280,
    batch_size=128,
    rate=0.01,
    schedule=line(0.01),
    schedule_text="0.01, falling along a line to a hundredth",
    l2=1e-3,
    published="15.13 % on CIFAR-10 (max pooling: 19.40 %)",
    smaller=narrower(filters=64),
    differs="Means are subtracted by channel, not by pixel.",
)

MAXOUT = Paper(
    reference="Goodfellow et al., Maxout Networks, 2013, section 5.2, and "
    "its authors' code",
    data="cifar10",
    model="maxout_cifar",
    epochs=474,
    batch_size=128,
    rate=0.0085,
    schedule=line(0.01, end=500 / 474),
    schedule_text="0.0085, falling along a line to a hundredth at epoch 500",
    momentum=0.65,
    augmentation=("shift", "flip"),
    published="9.38 % on CIFAR-10",
    smaller=narrower(filters=(96, 192, 192), units=500),
    differs="Images are not whitened, momentum does not rise from 0.5, all "
    "layers have the rate of the convolutions, a twentieth of that of the "
    "dense layers, and first weights have the scale of their input.",
)

PAPERS: dict[str, Paper] = dict(
    zip(
        get_args(PaperName),
        (
            STOCHASTIC_DEPTH,
            SNAPSHOT,
            FRACTIONAL_MAX_POOLING,
            DROPCONNECT,
            STOCHASTIC_POOLING,
            MAXOUT,
        ),
        strict=True,
    )
)

# Without a paper: what trains most networks of the catalogue reasonably.
NO_PAPER = Paper(
    reference="Loshchilov and Hutter, SGDR, 2017 (the cosine)",
    data="digits",
    model="resnet20_cifar",
    image_size=None,
    epochs=30,
    batch_size=128,
    rate=0.05,
    schedule=named("cosine", warmup_share=0.05),
    schedule_text="0.05 after a short warm-up, falling along half a cosine",
    nesterov=True,
    l2=5e-4,
    published="none",
    smaller=lambda share: {},
)

"""Random masks over connections, made of few random numbers.

A mask has a random odd integer for each row and one for each column, and keeps
a connection where the product of the two is below a threshold. Products wrap
around at 32 bits, where an odd number times a random odd number is a random odd
number again: all draws of a row are independent, all draws of a column are, and
so are any three draws; four of them that share two rows and two columns are
tied by a modular division. A mask takes a tenth of the time of as many random
numbers, and can be made again from little.
"""

import keras
from keras import ops


def draw_mask(shape, rate: float, seed_generator: keras.random.SeedGenerator):
    """Booleans, each false with probability `rate`; the last axis is units."""
    *outer, units = shape
    rows = draw_odd_integers((*outer, 1), seed_generator)
    columns = draw_odd_integers((units,), seed_generator)
    return is_kept(rows, columns, rate)


def draw_odd_integers(shape, seed_generator: keras.random.SeedGenerator):
    """Uniform over all odd integers of 32 bits."""
    halves = keras.random.randint(
        shape, -(2**30), 2**30, dtype="int32", seed=seed_generator
    )
    return 2 * halves + 1


def is_kept(rows, columns, rate: float):
    """The mask of factors that broadcast; `rate` counts in steps of 2^-31."""
    threshold = round((1 - rate) * 2**32) - 2**31
    return ops.multiply(rows, columns) < min(threshold, 2**31 - 1)

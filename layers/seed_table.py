"""Seeds drawn ahead of a loop, so that what it draws can be drawn again."""

import keras


class SeedTable:
    """One seed for each round of a loop, all drawn at once.

    A `SeedGenerator` moves a variable whenever it is used, which the body of a
    compiled loop must not do, and it never gives the same numbers twice. Round
    `k` of a loop draws from `table[k]` instead and gets the same numbers
    whenever it asks: a backward pass can draw the masks of the forward pass
    again instead of keeping them.

    The seeds are random numbers themselves and not `seed + k`, so that layers
    with neighbouring seeds do not share their draws.

    Args:
        seed_generator: A `keras.random.SeedGenerator`; it moves by one draw.
        count: Number of rounds, an integer or a scalar tensor.
    """

    def __init__(self, seed_generator: keras.random.SeedGenerator, count):
        pairs = keras.random.randint(
            (count, 2), 0, 2**31 - 1, seed=seed_generator
        )
        # Each backend has a type of its own for seeds.
        self.pairs = keras.ops.cast(pairs, seed_generator.state.dtype)

    def __getitem__(self, index) -> keras.random.SeedGenerator:
        return _FixedSeed(self.pairs[index])


class _FixedSeed(keras.random.SeedGenerator):
    """Gives one seed at every draw and owns no variable."""

    def __init__(self, seed):
        self.seed = seed

    def next(self, ordered=True):
        return self.seed

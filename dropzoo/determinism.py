"""One call for runs that repeat to the bit."""

import keras


def set_deterministic(seed: int) -> None:
    """Seeds every random stream and asks for operations that repeat.

    Seeds Python, NumPy and the backend; under TensorFlow it also turns on
    deterministic operations for the rest of the process, which are slower on
    a graphics card. Equal results need the same machine, the same versions and
    the same setting of `jit_compile`.

    Args:
        seed: Integer in [0, 2**32).

    Raises:
        ValueError: `seed` is no integer of that range.

    Example:
        >>> set_deterministic(7)
        >>> first = float(keras.random.uniform(()))
        >>> set_deterministic(7)
        >>> first == float(keras.random.uniform(()))
        True
    """
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(
            "set_deterministic: `seed` must be an integer in [0, 2**32). "
            f"Received: seed={seed!r}"
        )
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()

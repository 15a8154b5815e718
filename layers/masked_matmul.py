"""Products with a kernel that every example masks in its own way."""

import math

import keras
from keras import ops

from .connection_masks import draw_odd_integers, is_kept

# So many elements of masks exist at a time, or one example's, if that is more.
MASK_ELEMENTS = 2**20


def masked_matmul(
    inputs, kernel, rate: float, seed_generator: keras.random.SeedGenerator
):
    """Multiplies each example by the kernel under a mask of its own.

    `outputs[b] = inputs[b] @ (mask[b] * kernel)`. All masks together have as
    many elements as batch and kernel multiplied, so examples go through in
    chunks of at most `MASK_ELEMENTS` mask elements (one example at least), and
    no mask is kept: the backward pass makes them again from their factors.

    Args:
        inputs: `(batch, groups, positions, features)`. All positions of an
            example meet the same mask.
        kernel: `(groups, features, units)`.
        rate: Float in (0, 1). Probability that an element is masked out.
        seed_generator: Where the draws come from.

    Returns: `(batch, groups, positions, units)`
    """
    product = _MaskedProduct(ops.shape(inputs)[0], kernel, rate, seed_generator)

    @ops.custom_gradient
    def multiply(inputs, kernel):
        def gradient(*args, upstream=None):
            # PyTorch names the upstream gradient, the others give it alone.
            upstream = args[0] if upstream is None else upstream
            return product.backward(inputs, kernel, upstream)

        # Or else TensorFlow, when it is eager, would keep all masked kernels.
        stopped = ops.stop_gradient(inputs), ops.stop_gradient(kernel)
        return product.forward(*stopped), gradient

    return multiply(*map(ops.convert_to_tensor, (inputs, kernel)))


class _MaskedProduct:
    """The masks of a batch, as factors, and the two passes under them."""

    def __init__(self, batch, kernel, rate, seed_generator):
        groups, features, units = kernel.shape
        self.rate = rate
        self.size = max(1, MASK_ELEMENTS // math.prod(kernel.shape))
        # (num_chunks, size, groups, features, 1) and (..., 1, units)
        self.rows, self.columns = (
            _in_chunks(draw_odd_integers(shape, seed_generator), self.size)
            for shape in (
                (batch, groups, features, 1),
                (batch, groups, 1, units),
            )
        )
        self.num_chunks = ops.shape(self.rows)[0]

    def mask(self, index, dtype):
        kept = is_kept(self.rows[index], self.columns[index], self.rate)
        return ops.cast(kept, dtype)

    def forward(self, inputs, kernel):
        chunks = _in_chunks(inputs, self.size)

        def add_chunk(index, outputs):
            masked = self.mask(index, kernel.dtype) * kernel
            product = ops.einsum("bgpi,bgio->bgpo", chunks[index], masked)
            return _put(outputs, index, product)

        shape = (*ops.shape(chunks)[:-1], kernel.shape[-1])
        outputs = ops.zeros(shape, inputs.dtype)
        outputs = ops.fori_loop(0, self.num_chunks, add_chunk, outputs)
        return _in_one(outputs, inputs)

    def backward(self, inputs, kernel, upstream):
        chunks, deltas = (_in_chunks(x, self.size) for x in (inputs, upstream))

        def add_chunk(index, gradients):
            of_inputs, of_kernel = gradients
            mask, delta = self.mask(index, kernel.dtype), deltas[index]
            product = ops.einsum("bgpo,bgio->bgpi", delta, mask * kernel)
            outer = ops.einsum("bgpi,bgpo->bgio", chunks[index], delta)
            change = ops.sum(mask * outer, axis=0)
            return (
                _put(of_inputs, index, product),
                of_kernel + ops.cast(change, of_kernel.dtype),
            )

        # Summed over chunks in float32, as a matrix product would be.
        zeros = ops.zeros_like(chunks), ops.zeros(kernel.shape, "float32")
        of_inputs, of_kernel = ops.fori_loop(
            0, self.num_chunks, add_chunk, zeros
        )
        return _in_one(of_inputs, inputs), ops.cast(of_kernel, kernel.dtype)


def _in_chunks(tensor, most: int):
    """Splits a batch into equal chunks, `(num_chunks, size, ...)`."""
    batch, *shape = ops.shape(tensor)
    # Ceilings, that of batch / most at first; `abs` keeps both from 0 where
    # the batch is empty, and unlike `max` it takes a symbolic batch.
    num_chunks = abs(batch - 1) // most + 1
    size = abs(batch - 1) // num_chunks + 1
    missing = num_chunks * size - batch
    tensor = ops.pad(tensor, [[0, missing]] + [[0, 0]] * len(shape))
    return ops.reshape(tensor, (num_chunks, size, *shape))


def _in_one(chunks, like):
    """The batch again, without what was padded."""
    num_chunks, size, *shape = ops.shape(chunks)
    batch = ops.shape(like)[0]
    return ops.reshape(chunks, (num_chunks * size, *shape))[:batch]


def _put(tensor, index, row):
    """A tensor with one row replaced."""
    return ops.scatter_update(tensor, [[index]], row[None])

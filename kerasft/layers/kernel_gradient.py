import keras


def kernel_gradient(convolve, kernel, upstream):
    """Gradient of a convolution with respect to its kernel alone.

    `keras.ops` has no gradients, so each backend's own differentiation is
    called. The forward convolution that it names is not computed in compiled
    code (nothing uses its value); in eager mode it is.

    Args:
        convolve: Function from a kernel to the output of the convolution; it
            must be linear.
        kernel: Tensor of the kernel's shape and dtype.
        upstream: Gradient with respect to the output of `convolve`.

    Returns:
        Tensor of the shape of `kernel`.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(kernel)
            output = convolve(kernel)
        return tape.gradient(output, kernel, output_gradients=upstream)
    if backend == "jax":
        import jax

        return jax.vjp(convolve, kernel)[1](upstream)[0]
    if backend == "torch":
        import torch

        with torch.enable_grad():
            # Filters first in memory, as PyTorch has them. Keras only makes a view so; of a
            # single filter in double precision, PyTorch then refuses the gradient.
            kernel = torch.movedim(kernel.detach(), (-1, -2), (0, 1)).contiguous()
            kernel = torch.movedim(kernel, (0, 1), (-1, -2)).requires_grad_()
            return torch.autograd.grad(convolve(kernel), kernel, upstream)[0]
    raise ValueError(
        f"Expected the tensorflow, jax or torch backend for training. Received: {backend}."
    )

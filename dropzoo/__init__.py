"""A Keras 3 model zoo and transfer-learning kit.

Subpackages load on first use: `import dropzoo` imports neither TensorFlow nor
Keras.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

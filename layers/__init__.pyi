from .drop_block import DropBlock2D as DropBlock2D
from .drop_connect import DropConnect as DropConnect
from .drop_connect_conv2d import DropConnectConv2D as DropConnectConv2D
from .drop_connect_dense import DropConnectDense as DropConnectDense
from .fractional_average_pooling import (
    FractionalAveragePooling2D as FractionalAveragePooling2D,
)
from .fractional_max_pooling import (
    FractionalMaxPooling1D as FractionalMaxPooling1D,
)
from .fractional_max_pooling import (
    FractionalMaxPooling2D as FractionalMaxPooling2D,
)
from .fractional_max_pooling import (
    FractionalMaxPooling3D as FractionalMaxPooling3D,
)
from .linear_decay import linear_decay as linear_decay
from .local_response_normalization import (
    LocalResponseNormalization as LocalResponseNormalization,
)
from .max_drop import MaxDrop as MaxDrop
from .maxout import Maxout as Maxout
from .stochastic_depth import StochasticDepth as StochasticDepth
from .stochastic_pooling import StochasticPooling1D as StochasticPooling1D
from .stochastic_pooling import StochasticPooling2D as StochasticPooling2D
from .stochastic_pooling import StochasticPooling3D as StochasticPooling3D
from .stochastic_residual import StochasticResidual as StochasticResidual

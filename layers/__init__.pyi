from .linear_decay import linear_decay as linear_decay
from .stochastic_depth import StochasticDepth as StochasticDepth

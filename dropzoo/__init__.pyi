from . import callbacks as callbacks
from . import data as data
from . import evaluation as evaluation
from . import layers as layers
from . import models as models
from . import recipes as recipes
from . import schedules as schedules
from .determinism import set_deterministic as set_deterministic

__version__: str

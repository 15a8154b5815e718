from .cyclical_learning_rate import CyclicalLearningRate as CyclicalLearningRate
from .fast_geometric_cycle import FastGeometricCycle as FastGeometricCycle
from .named import get as get
from .one_cycle import OneCycle as OneCycle
from .per_update import PerUpdate as PerUpdate
from .snapshot_cosine import SnapshotCosine as SnapshotCosine
from .step_decay import StepDecay as StepDecay
from .warmup import Warmup as Warmup

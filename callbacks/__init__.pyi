from .activation_monitor import ActivationMonitor as ActivationMonitor
from .call_after_batch import CallAfterBatch as CallAfterBatch
from .curve_diagnosis import CurveDiagnosis as CurveDiagnosis
from .curve_faults import CurveFinding as CurveFinding
from .curve_faults import diagnose as diagnose
from .exact_resume import ExactResume as ExactResume
from .exponential_moving_average import (
    ExponentialMovingAverage as ExponentialMovingAverage,
)
from .learning_rate_finder import LearningRateFinder as LearningRateFinder
from .loss_curve import LossCurve as LossCurve
from .progress_bar import ProgressBar as ProgressBar
from .rate_suggestions import RateSuggestions as RateSuggestions
from .sanity_check import SanityCheck as SanityCheck
from .sanity_failure import SanityFailure as SanityFailure
from .sanity_failures import sanity_failures as sanity_failures
from .snapshot_ensemble import SnapshotEnsemble as SnapshotEnsemble
from .stochastic_weight_averaging import (
    StochasticWeightAveraging as StochasticWeightAveraging,
)
from .update_ratio_monitor import UpdateRatioMonitor as UpdateRatioMonitor

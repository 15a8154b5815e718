from .call_after_batch import CallAfterBatch as CallAfterBatch
from .exact_resume import ExactResume as ExactResume
from .progress_bar import ProgressBar as ProgressBar
from .snapshot_ensemble import SnapshotEnsemble as SnapshotEnsemble

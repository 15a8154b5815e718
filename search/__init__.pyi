from .trial_record import TrialRecord as TrialRecord
from .trial_record import read_trials as read_trials

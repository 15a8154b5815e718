from .ranges import Choice as Choice
from .ranges import Continuous as Continuous
from .ranges import Fixed as Fixed
from .ranges import Whole as Whole
from .search_space import SearchSpace as SearchSpace
from .space_words import read_space as read_space
from .trial_record import TrialRecord as TrialRecord
from .trial_record import read_trials as read_trials

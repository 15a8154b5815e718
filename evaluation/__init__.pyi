from .calibration import Calibration as Calibration
from .calibration import calibrate as calibrate
from .data_summary import DataSummary as DataSummary
from .features import extract_features as extract_features
from .metrics import ClassScores as ClassScores
from .metrics import Metrics as Metrics
from .metrics import evaluate_probabilities as evaluate_probabilities
from .mistakes import Mistake as Mistake
from .mistakes import confident_mistakes as confident_mistakes
from .reliability import ReliabilityBin as ReliabilityBin
from .reliability import (
    expected_calibration_error as expected_calibration_error,
)
from .reliability import reliability_bins as reliability_bins
from .reliability_picture import draw_reliability as draw_reliability
from .report import write_report as write_report
from .report_content import Comparison as Comparison
from .report_content import ReportContent as ReportContent

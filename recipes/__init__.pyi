from . import evaluate as evaluate
from . import finetune as finetune
from . import predict as predict

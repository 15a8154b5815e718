from . import evaluate as evaluate
from . import finetune as finetune
from . import lr_find as lr_find
from . import notes as notes
from . import predict as predict
from . import search as search
from . import snapshot_ensemble as snapshot_ensemble
from . import train as train

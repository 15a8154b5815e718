"""Seeds of trials follow from what was drawn, and from nothing else."""

import subprocess
import sys

from dropzoo.search.trial_seed import trial_seed


def test_settings_and_seed_decide():
    seeds = {
        trial_seed({"rate": rate}, seed)
        for rate in (0.1, 0.2, "0.1")
        for seed in (0, 1)
    }
    assert len(seeds) == 6
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_another_process_gives_the_same_seed():
    code = (
        "from dropzoo.search.trial_seed import trial_seed; "
        "print(trial_seed({'rate': 0.1, 'freeze': 'all'}, 3))"
    )
    words = [sys.executable, "-c", code]
    output = subprocess.run(words, capture_output=True, text=True, check=True)
    assert int(output.stdout) == trial_seed({"freeze": "all", "rate": 0.1}, 3)

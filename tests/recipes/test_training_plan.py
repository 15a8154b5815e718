import dataclasses

import pytest

from dropzoo.recipes.papers import NO_PAPER, PAPERS
from dropzoo.recipes.train_options import Machine, Photos, Training
from dropzoo.recipes.training_plan import plan_training

DEPTH = PAPERS["stochastic-depth"]


def plan(paper=DEPTH, *, budget=1.0, number=45_000, flips=True, **options):
    """A plan; options go to their groups by name."""

    def group(kind):
        names = {field.name for field in dataclasses.fields(kind)}
        return kind(**{k: options.pop(k) for k in names & options.keys()})

    groups = [group(kind) for kind in (Photos, Training, Machine)]
    assert not options
    return plan_training(
        paper,
        *groups,
        budget=budget,
        num_photos=number,
        num_classes=10,
        flips_are_safe=flips,
    )


def test_the_whole_budget_is_what_was_published():
    whole = plan()
    assert whole.model == "resnet110_cifar"
    assert whole.options == {"stochastic_depth": 0.5, "skip": True}
    assert (whole.epochs, whole.batch_size, whole.num_photos) == (
        500,
        128,
        45_000,
    )
    assert (whole.rate, whole.weight_decay) == (0.1, 1e-4)
    assert whole.augmentation == ("shift", "flip")
    assert whole.image_passes == 500 * 45_000
    assert "5.25 %" in whole.notes[0]


def test_a_budget_leaves_the_cube_root_of_each():
    small = plan(budget=0.001)
    assert small.epochs == 50
    assert small.num_photos == 4500
    # 1.8 of 18 blocks in each stage, rounded.
    assert small.options["depth"] == 14
    assert small.options["stochastic_depth"] == 0.5
    (note,) = [note for note in small.notes if note.startswith("Budget")]
    assert "50 of 500 epochs" in note
    assert "4,500 of 45,000 training photos" in note
    assert "depth 14 of 110" in note
    assert "225,000 of 22,500,000 passes" in note


def test_a_network_of_ones_own_stays_whole():
    small = plan(budget=0.01, model="notes_cnn")
    assert small.options == {}
    assert small.image_size is None
    assert (small.epochs, small.num_photos) == (50, 4500)


@pytest.mark.parametrize("budget", [1.0, 0.1, 0.001, 1e-6])
def test_cycles_have_equally_many_epochs(budget):
    assert plan(PAPERS["snapshot"], budget=budget).epochs % 6 == 0


def test_plain_epochs_shrink_with_the_others():
    paper = PAPERS["fractional-max-pooling"]
    assert plan(paper).plain_epochs == 10
    assert plan(paper, budget=0.125).plain_epochs == 5


def test_what_was_asked_for_holds_on_any_budget():
    asked = plan(
        budget=0.001,
        epochs=7,
        batch_size=64,
        rate=0.3,
        weight_decay=0.0,
        image_size=24,
        augmentation="cutmix, flip",
    )
    assert (asked.epochs, asked.batch_size) == (7, 64)
    assert (asked.rate, asked.weight_decay, asked.image_size) == (0.3, 0.0, 24)
    assert asked.augmentation == ("cutmix", "flip")
    assert asked.notes[-1] == "An update sees 64 photos; rate 0.3."


def test_the_rate_grows_with_the_batch():
    large = plan(batch_size=512)
    assert large.rate == pytest.approx(0.4)
    assert large.notes[-1] == (
        "An update sees 512 photos; rate 0.4, 0.1 times 512 / 128."
    )


def test_devices_and_steps_share_the_batch():
    shared = plan(devices=2, accumulate=4)
    assert (shared.batch_size, shared.rate) == (128, 0.1)
    assert "128 photos (2 devices x 4 steps x 16)" in shared.notes[-1]


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match="multiple of .* 3. Received: .*=128"):
        plan(devices=3)


def test_too_few_photos_for_the_devices_are_refused():
    with pytest.raises(ValueError, match="at least 32 training photos"):
        plan(number=20, devices=8, accumulate=4)


def test_a_batch_is_no_larger_than_the_photos():
    few = plan(number=50)
    assert few.batch_size == 50
    assert few.rate == 0.1
    assert any("there are no more" in note for note in few.notes)


@pytest.mark.parametrize(
    ("flips", "names"), [(True, ("shift", "flip")), (False, ("shift",))]
)
def test_without_a_paper_flips_are_made_where_they_are_safe(flips, names):
    assert plan(NO_PAPER, flips=flips).augmentation == names


def test_a_paper_without_changes_has_none():
    assert plan(PAPERS["stochastic-pooling"]).augmentation == ()
    assert plan(augmentation="none").augmentation == ()


def test_the_figures_are_json():
    figures = plan(budget=0.01).to_dict()
    assert figures["paper"] == DEPTH.reference
    assert figures["image_passes"] == figures["epochs"] * figures["num_photos"]

import pytest

from dropzoo.models.seeds import layer_seed


def test_layers_get_different_seeds_from_one():
    seeds = {layer_seed(3, f"block{n}_drop") for n in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_layer_gets_the_same_seed_each_time_and_another_from_another():
    assert layer_seed(3, "drop") == layer_seed(3, "drop")
    assert layer_seed(3, "drop") != layer_seed(4, "drop")


def test_seed_and_name_do_not_run_into_each_other():
    assert layer_seed(1, "1/drop") != layer_seed(11, "drop")


@pytest.mark.parametrize("name", ["a", "b"])
def test_without_a_seed_every_layer_is_free(name):
    assert layer_seed(None, name) is None

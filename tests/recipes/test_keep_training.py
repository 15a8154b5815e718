from dropzoo.evaluation import evaluate_probabilities
from dropzoo.models import create_model
from dropzoo.recipes.keep_training import headline, not_portable


def test_the_headline_tells_accuracy_and_error():
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]]
    metrics = evaluate_probabilities([0, 1, 0, 1], probabilities, ("a", "b"))
    sentence = headline(metrics)
    assert sentence.startswith("Test accuracy 75.00% (95 % interval ")
    assert sentence.endswith("an error of 25.00%.")


def test_without_test_photos_nothing_was_measured():
    assert "nothing was measured" in headline(None)


def test_a_layer_that_only_trains_needs_no_dropzoo():
    network = create_model(
        "resnet20_cifar",
        depth=8,
        stochastic_depth=0.5,
        skip=True,
        input_shape=(8, 8, 3),
    )
    assert not_portable(network) == ""


def test_a_layer_that_computes_something_of_its_own_is_named():
    network = create_model("stochastic_pooling_cnn", filters=2)
    sentence = not_portable(network)
    assert "`import dropzoo.layers`" in sentence
    assert "and 5 more, because" in sentence

"""The networks of `keras.applications`, as a table.

Parameters are those that are trained, with 1000 classes. What is said of
weights is what Keras says: file and checksum its code, accuracy and licence its
documentation.

Reference: https://keras.io/api/applications
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from dropzoo.models.densenet_names import densenet_name
from dropzoo.models.keras_adapter import Adapted
from dropzoo.models.keras_weights import KerasWeights
from dropzoo.models.spec import IMAGENET, LEVELS, ModelSpec, Preprocessing
from dropzoo.models.timm_names import efficientnet_name

HOST = "https://storage.googleapis.com"
FOLDER = "tensorflow/keras-applications"

# Keras names its kinds of preprocessing "caffe" and "tf"; "torch" is IMAGENET.
CAFFE = Preprocessing((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))
TF = Preprocessing((127.5,), (127.5,))
HALVED = Preprocessing((128.0,), (128.0,))

NO_ADDITIONS = {"stochastic_depth": "it has no residual branch"}
NO_POOLING = {
    "pooling": "it has no pooling between convolutions: strides make its maps "
    "smaller"
}
SEE_KERAS = "see Keras"
TENSORFLOW = "TensorFlow models, ported by Keras"


@dataclass(frozen=True)
class Row:
    """What differs between the networks of a family.

    Args:
        name: In our catalogue.
        function: In `keras.applications`.
        input_size: Side of the input in pixels.
        parameters: Those that are trained.
        accuracy: Top-1 on ImageNet, in per cent.
        dropout: Rate before the classifier; 0 for the family's.
    """

    name: str
    function: str
    input_size: int
    parameters: int
    accuracy: float
    dropout: float = 0.0


@dataclass(frozen=True)
class Family:
    """What the networks of one module of `keras.applications` share.

    Args:
        folder: Of the weights, on Keras's host.
        file: Name of a weights file there: `{name}` is our name, `{function}`
            Keras's in lower case, `{variant}` the last word of ours.
        cached: Name of the file in Keras's cache; `None` for the same.
        preprocessing: Of the input.
        licence: Of the weights.
        origin: Of the weights.
        reference: The paper.
        lacks: Techniques that there is no place for, with the reasons.
        smallest_size: Side of the smallest input, in pixels.
        dropout: Rate before the classifier.
        channel_order: Of the input in training.
        source_names: Names of layers in state dicts of PyTorch, where the
            network is the same there.
        levels: Of resolution, the finest first.
    """

    folder: str
    file: str
    preprocessing: Preprocessing
    reference: str
    licence: str = SEE_KERAS
    origin: str = "keras.applications"
    cached: str | None = None
    lacks: Mapping[str, str] = field(default_factory=dict)
    smallest_size: int = 32
    dropout: float = 0.0
    channel_order: str = "rgb"
    source_names: Callable[[str], str] | None = None
    levels: tuple[str, ...] = LEVELS[:5]


CONVNEXT = Family(
    folder=f"{FOLDER}/convnext",
    file="{name}.h5",
    preprocessing=IMAGENET,
    reference="Liu et al. 2022",
    lacks=NO_POOLING,
    levels=LEVELS[1:5],
)
DENSENET = Family(
    folder=f"{FOLDER}/densenet",
    file="{name}_weights_tf_dim_ordering_tf_kernels.h5",
    preprocessing=IMAGENET,
    reference="Huang et al. 2017",
    licence="BSD-3-Clause",
    origin="the authors of DenseNet, ported by Keras",
    lacks={
        "stochastic_depth": "it has no residual branch: the maps of its layers "
        "are concatenated, not added"
    },
    source_names=densenet_name,
)
EFFICIENTNET = Family(
    folder="keras-applications",
    file="{function}.h5",
    preprocessing=IMAGENET,
    reference="Tan and Le 2019",
    lacks=NO_POOLING,
    source_names=efficientnet_name,
)
EFFICIENTNET_V2_B = Family(
    folder=f"{FOLDER}/efficientnet_v2",
    file="efficientnetv2-{variant}.h5",
    preprocessing=IMAGENET,
    reference="Tan and Le 2021",
    lacks=NO_POOLING,
    dropout=0.2,
)
EFFICIENTNET_V2 = Family(
    folder=f"{FOLDER}/efficientnet_v2",
    file="efficientnetv2-{variant}.h5",
    preprocessing=HALVED,
    reference="Tan and Le 2021",
    lacks=NO_POOLING,
    dropout=0.2,
)
INCEPTION_V3 = Family(
    folder=f"{FOLDER}/inception_v3",
    file="{name}_weights_tf_dim_ordering_tf_kernels.h5",
    preprocessing=TF,
    reference="Szegedy et al. 2016",
    licence="Apache-2.0",
    origin=TENSORFLOW,
    lacks=NO_ADDITIONS,
    smallest_size=75,
)
INCEPTION_RESNET_V2 = Family(
    folder=f"{FOLDER}/inception_resnet_v2",
    file="{name}_weights_tf_dim_ordering_tf_kernels.h5",
    preprocessing=TF,
    reference="Szegedy et al. 2017",
    licence="Apache-2.0",
    origin=TENSORFLOW,
    smallest_size=75,
)
MOBILENET = Family(
    folder=f"{FOLDER}/mobilenet",
    file="mobilenet_1_0_224_tf.h5",
    preprocessing=TF,
    reference="Howard et al. 2017",
    licence="Apache-2.0",
    origin=TENSORFLOW,
    lacks=NO_ADDITIONS | NO_POOLING,
    dropout=0.001,
)
MOBILENET_V2 = Family(
    folder=f"{FOLDER}/mobilenet_v2",
    file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
    preprocessing=TF,
    reference="Sandler et al. 2018",
    licence="Apache-2.0",
    origin=TENSORFLOW,
    lacks=NO_POOLING,
)
MOBILENET_V3 = Family(
    folder=f"{FOLDER}/mobilenet_v3",
    file="weights_mobilenet_v3_{variant}_224_1.0_float.h5",
    preprocessing=TF,
    reference="Howard et al. 2019",
    lacks=NO_POOLING,
    dropout=0.2,
)
NASNET = Family(
    folder=f"{FOLDER}/nasnet",
    file="NASNet-{variant}.h5",
    cached="{name}.h5",
    preprocessing=TF,
    reference="Zoph et al. 2018",
    licence="Apache-2.0",
    origin=TENSORFLOW,
)
RESNET = Family(
    folder=f"{FOLDER}/resnet",
    file="{function}_weights_tf_dim_ordering_tf_kernels.h5",
    preprocessing=CAFFE,
    reference="He et al. 2016a",
    licence="MIT",
    origin="Kaiming He, ported by Keras",
    channel_order="bgr",
)
RESNET_V2 = Family(
    folder=f"{FOLDER}/resnet",
    file="{function}_weights_tf_dim_ordering_tf_kernels.h5",
    preprocessing=TF,
    reference="He et al. 2016b",
    licence="BSD-3-Clause",
    origin="Facebook, fb.resnet.torch, ported by Keras",
)
VGG = Family(
    folder=f"{FOLDER}/{{function}}",
    file="{function}_weights_tf_dim_ordering_tf_kernels.h5",
    preprocessing=CAFFE,
    reference="Simonyan and Zisserman 2014",
    licence="CC-BY-4.0",
    origin="VGG at Oxford, ported by Keras",
    lacks=NO_ADDITIONS,
    channel_order="bgr",
)
XCEPTION = Family(
    folder=f"{FOLDER}/xception",
    file="{name}_weights_tf_dim_ordering_tf_kernels.h5",
    preprocessing=TF,
    reference="Chollet 2017",
    licence="MIT",
    origin="keras.applications",
    smallest_size=71,
)

# By our names: SHA-256 or MD5. Keras compares none for MobileNet and its V2.
CHECKSUMS = {
    "convnext_tiny": (
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff"
    ),
    "convnext_small": (
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c"
    ),
    "convnext_base": (
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6"
    ),
    "convnext_large": (
        "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6"
    ),
    "convnext_xlarge": (
        "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee"
    ),
    "densenet121": "9d60b8095a5708f2dcce2bca79d332c7",
    "densenet169": "d699b8f76981ab1b30698df4c175e90b",
    "densenet201": "1ceb130c1ea1b78c3bf6114dbdfd8807",
    "efficientnet_b0": "902e53a9f72be733fc0bcb005b3ebbac",
    "efficientnet_b1": "1d254153d4ab51201f1646940f018540",
    "efficientnet_b2": "b15cce36ff4dcbd00b6dd88e7857a6ad",
    "efficientnet_b3": "ffd1fdc53d0ce67064dc6a9c7960ede0",
    "efficientnet_b4": "18c95ad55216b8f92d7e70b3a046e2fc",
    "efficientnet_b5": "ace28f2a6363774853a83a0b21b9421a",
    "efficientnet_b6": "165f6e37dce68623721b423839de8be5",
    "efficientnet_b7": "8c03f828fec3ef71311cd463b6759d99",
    "efficientnet_v2_b0": "21ecbf6da12460d5c40bb2f29ceb2188",
    "efficientnet_v2_b1": "069f0534ff22adf035c89e2d9547a9dc",
    "efficientnet_v2_b2": "424e49f28180edbde1e94797771950a7",
    "efficientnet_v2_b3": "1f1fc43bd98a6e4fd8fdfd551e02c7a0",
    "efficientnet_v2_s": "e1d88a8495beba45748fedd0cecbe016",
    "efficientnet_v2_m": "a3bf6aa3276309f4fc6a34aa114c95cd",
    "efficientnet_v2_l": "27e6d408b53c7ebc868fefa357689935",
    "inception_v3": "9a0d58056eeedaa3f26cb7ebd46da564",
    "inception_resnet_v2": "e693bd0210a403b3192acc6073ad2e96",
    "mobilenet_v3_small": "8768d4c2e7dee89b9d02b2d03d65d862",
    "mobilenet_v3_large": "59e551e166be033d707958cf9e29a6a7",
    "nasnet_mobile": "020fb642bf7360b370c678b08e0adf61",
    "nasnet_large": "11577c9a518f0070763c2b964a382f17",
    "resnet50": "2cb95161c43110f7111970584f804107",
    "resnet101": "f1aeb4b969a6efcfb50fad2f0c20cfc5",
    "resnet152": "100835be76be38e30d865e96f2aaae62",
    "resnet50_v2": "3ef43a0b657b3be2300d5770ece849e0",
    "resnet101_v2": "6343647c601c52e1368623803854d971",
    "resnet152_v2": "a49b44d1979771252814e80f8ec446f9",
    "keras_vgg16": "64373286793e3c8b2b4e3219cbf3544b",
    "keras_vgg19": "cbe5617147190e668d6c5d5026f83318",
    "xception": "0a58e3b7378bc2990ea3b43d5981f1f6",
}


def _specs(family: Family, *rows: Row) -> Iterator[ModelSpec]:
    return (_spec(family, row) for row in rows)


def _spec(family: Family, row: Row) -> ModelSpec:
    return ModelSpec(
        name=row.name,
        build=Adapted(row.function, family.folder),
        kwargs={"dropout": row.dropout or family.dropout},
        input_size=row.input_size,
        smallest_size=family.smallest_size,
        parameters=row.parameters,
        preprocessing=family.preprocessing,
        lacks=family.lacks,
        levels=family.levels,
        source_names=family.source_names,
        reference=family.reference,
        weights=(_weights(family, row),),
    )


def _weights(family: Family, row: Row) -> KerasWeights:
    names = {
        "name": row.name,
        "function": row.function.lower(),
        "variant": row.name.rsplit("_", 1)[-1],
    }
    file = family.file.format(**names)
    checksum = CHECKSUMS.get(row.name, "")
    return KerasWeights(
        tag="imagenet",
        url=f"{HOST}/{family.folder.format(**names)}/{file}",
        file=(family.cached or family.file).format(**names),
        preprocessing=family.preprocessing,
        num_classes=1000,
        licence=family.licence,
        origin=family.origin,
        accuracy_reported=round(row.accuracy / 100, 3),
        channel_order=family.channel_order,
        sha256=checksum if len(checksum) == 64 else "",
        md5=checksum if len(checksum) == 32 else "",
    )


SPECS = (
    *_specs(
        CONVNEXT,
        Row("convnext_tiny", "ConvNeXtTiny", 224, 28_589_128, 81.3),
        Row("convnext_small", "ConvNeXtSmall", 224, 50_223_688, 82.3),
        Row("convnext_base", "ConvNeXtBase", 224, 88_591_464, 85.3),
        Row("convnext_large", "ConvNeXtLarge", 224, 197_767_336, 86.3),
        Row("convnext_xlarge", "ConvNeXtXLarge", 224, 350_196_968, 86.7),
    ),
    *_specs(
        DENSENET,
        Row("densenet121", "DenseNet121", 224, 7_978_856, 75.0),
        Row("densenet169", "DenseNet169", 224, 14_149_480, 76.2),
        Row("densenet201", "DenseNet201", 224, 20_013_928, 77.3),
    ),
    *_specs(
        EFFICIENTNET,
        Row("efficientnet_b0", "EfficientNetB0", 224, 5_288_548, 77.1, 0.2),
        Row("efficientnet_b1", "EfficientNetB1", 240, 7_794_184, 79.1, 0.2),
        Row("efficientnet_b2", "EfficientNetB2", 260, 9_109_994, 80.1, 0.3),
        Row("efficientnet_b3", "EfficientNetB3", 300, 12_233_232, 81.6, 0.3),
        Row("efficientnet_b4", "EfficientNetB4", 380, 19_341_616, 82.9, 0.4),
        Row("efficientnet_b5", "EfficientNetB5", 456, 30_389_784, 83.6, 0.4),
        Row("efficientnet_b6", "EfficientNetB6", 528, 43_040_704, 84.0, 0.5),
        Row("efficientnet_b7", "EfficientNetB7", 600, 66_347_960, 84.3, 0.5),
    ),
    *_specs(
        EFFICIENTNET_V2_B,
        Row("efficientnet_v2_b0", "EfficientNetV2B0", 224, 7_139_704, 78.7),
        Row("efficientnet_v2_b1", "EfficientNetV2B1", 240, 8_141_052, 79.8),
        Row("efficientnet_v2_b2", "EfficientNetV2B2", 260, 10_096_086, 80.5),
        Row("efficientnet_v2_b3", "EfficientNetV2B3", 300, 14_358_406, 82.0),
    ),
    *_specs(
        EFFICIENTNET_V2,
        Row("efficientnet_v2_s", "EfficientNetV2S", 384, 21_458_488, 83.9),
        Row("efficientnet_v2_m", "EfficientNetV2M", 480, 54_139_356, 85.3),
        Row("efficientnet_v2_l", "EfficientNetV2L", 480, 118_515_272, 85.7),
    ),
    *_specs(
        INCEPTION_V3,
        Row("inception_v3", "InceptionV3", 299, 23_817_352, 77.9),
    ),
    *_specs(
        INCEPTION_RESNET_V2,
        Row("inception_resnet_v2", "InceptionResNetV2", 299, 55_813_192, 80.3),
    ),
    *_specs(
        MOBILENET,
        Row("mobilenet", "MobileNet", 224, 4_231_976, 70.4),
    ),
    *_specs(
        MOBILENET_V2,
        Row("keras_mobilenet_v2", "MobileNetV2", 224, 3_504_872, 71.3),
    ),
    *_specs(
        MOBILENET_V3,
        Row("mobilenet_v3_small", "MobileNetV3Small", 224, 2_542_856, 68.1),
        Row("mobilenet_v3_large", "MobileNetV3Large", 224, 5_483_032, 75.6),
    ),
    *_specs(
        NASNET,
        Row("nasnet_mobile", "NASNetMobile", 224, 5_289_978, 74.4),
        Row("nasnet_large", "NASNetLarge", 331, 88_753_150, 82.5),
    ),
    *_specs(
        RESNET,
        Row("resnet50", "ResNet50", 224, 25_583_592, 74.9),
        Row("resnet101", "ResNet101", 224, 44_601_832, 76.4),
        Row("resnet152", "ResNet152", 224, 60_268_520, 76.6),
    ),
    *_specs(
        RESNET_V2,
        Row("resnet50_v2", "ResNet50V2", 224, 25_568_360, 76.0),
        Row("resnet101_v2", "ResNet101V2", 224, 44_577_896, 77.2),
        Row("resnet152_v2", "ResNet152V2", 224, 60_236_904, 78.0),
    ),
    *_specs(
        VGG,
        Row("keras_vgg16", "VGG16", 224, 138_357_544, 71.3),
        Row("keras_vgg19", "VGG19", 224, 143_667_240, 71.3),
    ),
    *_specs(
        XCEPTION,
        Row("xception", "Xception", 299, 22_855_952, 79.0),
    ),
)

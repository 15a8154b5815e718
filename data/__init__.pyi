from .decode_check import check_images as check_images
from .decoding import ImageError as ImageError
from .decoding import decode_image as decode_image
from .examples import Examples as Examples
from .examples import concatenate as concatenate
from .findings import Findings as Findings
from .image_data import ImageData as ImageData
from .loading import load as load

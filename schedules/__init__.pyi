from .warmup import Warmup as Warmup

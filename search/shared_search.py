"""One search on several machines: a chief that chooses, workers that train."""

import os
import re
import socket

ADDRESS = re.compile(r"(?P<host>[^:\s]+|\[[^\]\s]+\]):(?P<port>\d{1,5})")


def share_search(address: str, *, worker: str | None = "") -> None:
    """Makes the next tuner of this process part of a shared search.

    Every process runs the same program. The chief's `search` trains nothing
    and returns when all is done; it must be one, and workers wait for it.
    A trial whose worker is not heard of any more is given to another one.
    The processes should see one project folder, as the weights of the best
    trials are kept there by whoever trained them. It sets KerasTuner's
    `KERASTUNER_ORACLE_IP`, `KERASTUNER_ORACLE_PORT`, `KERASTUNER_TUNER_ID` and
    `no_grpc_proxy`, which lets messages pass a proxy by.

    Args:
        address: Of the chief, `"HOST:PORT"`.
        worker: Name of this worker, of which there must be no other. Empty
            for one made of the machine's name and the process's number;
            `None` for the chief.

    Raises: ValueError where `address` or `worker` breaks its rule.

    Example:
        >>> before = dict(os.environ)
        >>> share_search("10.0.0.5:9000", worker="desk")
        >>> os.environ["KERASTUNER_TUNER_ID"]
        'worker-desk'
        >>> os.environ.clear(); os.environ.update(before)
    """
    match = ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise ValueError(
            "share_search: `address` must be HOST:PORT, such as "
            f"192.168.1.20:9000. Received: address={address!r}"
        )
    if worker is not None and "chief" in worker:
        raise ValueError(
            "share_search: `worker` must not contain 'chief', by which "
            f"KerasTuner knows the chief. Received: worker={worker!r}"
        )
    name = worker or f"{socket.gethostname()}-{os.getpid()}"
    os.environ.update(
        KERASTUNER_ORACLE_IP=match["host"],
        KERASTUNER_ORACLE_PORT=match["port"],
        KERASTUNER_TUNER_ID="chief" if worker is None else f"worker-{name}",
        # A proxy for the web would swallow the messages between them.
        no_grpc_proxy=match["host"].strip("[]"),
    )

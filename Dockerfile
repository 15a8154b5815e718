# An image that fine-tunes on photos; the processor alone unless told otherwise.
#
#   docker build -t dropzoo .
#   docker build --build-arg EXTRAS=demo,gpu -t dropzoo .    # NVIDIA cards
#   docker run --rm -v "$PWD/runs:/home/dropzoo/runs" dropzoo
#   docker run --rm --gpus all -v "$PWD/runs:/home/dropzoo/runs" dropzoo
FROM python:3.11-slim

ARG EXTRAS=demo
ENV PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1

WORKDIR /opt/dropzoo
COPY . .
RUN pip install -e ".[${EXTRAS}]"

RUN useradd --create-home dropzoo
USER dropzoo
WORKDIR /home/dropzoo

ENTRYPOINT ["dropzoo"]
CMD ["finetune"]

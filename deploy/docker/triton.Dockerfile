# Triton with what the scorer's Python model imports. Name an image of the Triton server, release 25.08, py3.
#   docker build -f deploy/docker/triton.Dockerfile --build-arg TRITON_IMAGE=... -t rank-triton:0.1.0 .
ARG TRITON_IMAGE
FROM ${TRITON_IMAGE}
RUN pip install --no-cache-dir torch torchvision open_clip_torch pillow
COPY deploy/docker/triton_alive.py /opt/rank/triton_alive.py
USER 10001:10001

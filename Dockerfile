# syntax=docker/dockerfile:1
# The service with its model. The same image runs on the CPU where there is no GPU.
# "base" is enough: torch's wheels bring the CUDA libraries, the host brings the driver. 24.04, because the Python 3.11
# of 22.04 is a release candidate; 24.04 ships 3.12.
ARG BASE=nvidia/cuda:12.8.1-base-ubuntu24.04

FROM ${BASE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
# The libraries first, against empty packages: this layer stays cached until pyproject.toml changes.
RUN mkdir -p surrogate api && touch surrogate/__init__.py api/__init__.py \
    && python3 -m venv /opt/surrogate \
    && /opt/surrogate/bin/pip install --no-cache-dir ".[s3]" \
    && /opt/surrogate/bin/pip uninstall --yes jepa-surrogate
COPY surrogate surrogate
COPY api api
RUN /opt/surrogate/bin/pip install --no-cache-dir --no-deps .

FROM ${BASE}
# gmsh's wheel links the X libraries; EGL and OSMesa render off screen; CalculiX is the independent reference;
# bubblewrap isolates the readers of uploads where the container may make name spaces, Landlock does where it may not.
RUN apt-get update && apt-get install -y --no-install-recommends python3 bubblewrap calculix-ccx \
        libglu1-mesa libxcursor1 libxft2 libxinerama1 libxfixes3 libxrender1 libgomp1 \
        libegl1 libgl1-mesa-dri libosmesa6 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin surrogate \
    && install -d -o surrogate -g surrogate /data
COPY --from=build /opt/surrogate /opt/surrogate
# Everything is written to /data or /tmp, so the root file system can be mounted read-only. Without a key the service
# refuses to start here, for it listens to other machines: docker run ... surrogate keys create --name NAME
ENV PATH=/opt/surrogate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    SURROGATE_DATA_DIRECTORY=/data \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics
USER 10001
# Not /data: Python would look for modules among the files that are kept there.
WORKDIR /
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["surrogate", "serve", "--host", "0.0.0.0", "--port", "8000"]

# Zordon as a node in a container: the service, its command line and FFmpeg (inside the package imageio-ffmpeg).
# Blender is not in the image: it is a managed engine on a volume, see docs/install.md.
#
#   docker build -t zordon .
#   docker run -d --name zordon --init -p 127.0.0.1:8080:8080 -v zordon-data:/data zordon

FROM python:3.11-slim AS build

WORKDIR /source
RUN python -m venv /opt/zordon \
    && /opt/zordon/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --upgrade "pip>=25.1"

# What Zordon needs changes less often than Zordon: its own layer, made from pyproject.toml alone.
COPY pyproject.toml ./
RUN /opt/zordon/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && /opt/zordon/bin/pip install --quiet --no-cache-dir --disable-pip-version-check -r requirements.txt

COPY README.md LICENSE hatch_build.py ./
COPY config ./config
COPY demo ./demo
COPY engines ./engines
COPY client ./client
COPY app ./app
RUN /opt/zordon/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/zordon/bin/python -m compileall -q /opt/zordon/lib/python3.11/site-packages/app \
        /opt/zordon/lib/python3.11/site-packages/engines /opt/zordon/lib/python3.11/site-packages/client


FROM python:3.11-slim

LABEL org.opencontainers.image.title="Zordon" \
      org.opencontainers.image.description="A render farm that sets itself up" \
      org.opencontainers.image.licenses="GPL-3.0-or-later"

# The shared libraries that Blender loads, also as the module bpy.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends \
        libegl1 libgl1 libgomp1 libsm6 libxfixes3 libxi6 libxkbcommon0 libxrender1 libxxf86vm1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin zordon \
    && install -d -o zordon -g zordon -m 0700 /data

COPY --from=build /opt/zordon /opt/zordon

ENV PATH=/opt/zordon/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    ZORDON_DATA_DIR=/data \
    ZORDON_LAN=true \
    ZORDON_PORT=8080

USER zordon
WORKDIR /data
VOLUME /data
EXPOSE 8080

HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['ZORDON_PORT'] + '/api/heartbeat', timeout=4).read()"]

# `docker stop` sends TERM: open requests get a few seconds, engines and workers are ended, the store is closed.
STOPSIGNAL SIGTERM
ENTRYPOINT ["zordon"]
CMD ["serve"]

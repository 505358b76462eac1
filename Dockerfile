# Two images: `host` runs the functions outside Lambda, `tools` has the emulator, the simulator, the development
# issuer and the deployer.
#
#   docker build --target host --tag vestnik-host:1 .
#   docker build --target tools --tag vestnik-tools:1 .
#
# The tag of Python's image moves with its patches. Whoever wants the same bytes each time names a digest:
# --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# Every requirement as a wheel: what a package needs to be built with stays here.
FROM ${PYTHON_IMAGE} AS wheels
WORKDIR /build
COPY requirements.txt requirements-host.txt requirements-dev.txt ./
RUN pip wheel --no-cache-dir --wheel-dir /wheels/host --requirement requirements-host.txt

FROM wheels AS tools-wheels
RUN pip wheel --no-cache-dir --wheel-dir /wheels/tools --requirement requirements-dev.txt

FROM ${PYTHON_IMAGE} AS python
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /app

FROM python AS tools
RUN --mount=type=bind,from=tools-wheels,source=/wheels/tools,target=/wheels \
    --mount=type=bind,source=requirements-dev.txt,target=/requirements.txt \
    pip install --no-cache-dir --no-index --find-links /wheels --requirement /requirements.txt
COPY app.py requirements.txt ./
COPY .chalice/config.json .chalice/config.json
COPY chalicelib chalicelib
COPY infra infra
# Packaged here, so that deploying needs no package registry. The folder is for what the programs write.
RUN python infra/local/bundle.py \
    && chown --recursive 65532:65532 .local
USER 65532:65532
ENTRYPOINT ["python"]

FROM python AS host
RUN --mount=type=bind,from=wheels,source=/wheels/host,target=/wheels \
    --mount=type=bind,source=requirements-host.txt,target=/requirements.txt \
    pip install --no-cache-dir --no-index --find-links /wheels --requirement /requirements.txt
COPY app.py ./
COPY chalicelib chalicelib
COPY infra/host infra/host
COPY infra/template.yaml infra/template.yaml
# The file system is read-only when it runs: what is not compiled by then is compiled again at each start.
RUN python -m compileall -q app.py chalicelib infra
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["python", "-m", "infra.host"]

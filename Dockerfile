# One image for the operator and for the event app: `skep operator`, `skep web`, `skep schema` ...
# Builds with the classic builder too. BASE is any Debian-like Python 3.11 to 3.14 with the venv module.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/skep
# The dependencies in a layer of their own: they change seldom, the code often.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      > requirements.txt \
 && /opt/skep/bin/pip install --requirement requirements.txt
COPY . .
RUN /opt/skep/bin/pip install --no-deps . \
 && /opt/skep/bin/pip uninstall --yes --quiet setuptools pip

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="skep" \
      org.opencontainers.image.description="A Kubernetes-style operator that runs many tenants on Docker Swarm" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The number that mounted secrets belong to; see operator/engine/swarm/render.py.
RUN groupadd --gid 10001 skep \
 && useradd --uid 10001 --gid 10001 --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin skep
COPY --from=build /opt/skep /opt/skep
ENV PATH=/opt/skep/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /
# A room that was not copied would only be missed when it runs.
RUN python -c "import skep.operator.cli, skep.webapp, skep.crds"
EXPOSE 8080
ENTRYPOINT ["skep"]

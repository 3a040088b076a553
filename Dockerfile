# One image: `skep operator` for the platform, `skep web` for its tenants. Any builder builds it.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/skep
WORKDIR /src
# Dependencies first, by themselves: they change rarely, the code often.
COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > /tmp/requirements.txt \
 && /opt/skep/bin/pip install --requirement /tmp/requirements.txt
COPY LICENSE README.md ./
COPY src src
COPY crds crds
COPY operator operator
COPY webapp webapp
# A forgotten directory would still build: importing it here is the test.
RUN /opt/skep/bin/pip install --no-deps . \
 && /opt/skep/bin/python -c "import skep.operator.hive, skep.operator.cli.command, skep.webapp.main, skep.crds.reader" \
 && /opt/skep/bin/pip uninstall --yes pip

FROM ${BASE}
LABEL org.opencontainers.image.title="skep" \
      org.opencontainers.image.description="A Kubernetes-style operator that runs many tenants on Docker Swarm" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/skep /opt/skep
ENV PATH=/opt/skep/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /
ENTRYPOINT ["skep"]
CMD ["--help"]

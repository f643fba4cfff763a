#!/bin/sh
# Run once by the postgres image, when its volume is empty: the program owns its database and is no superuser.
# Afterwards the superuser has no password, so it is reached from inside the container only.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$POSTGRES_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE heitto LOGIN PASSWORD :'password';
CREATE DATABASE heitto OWNER heitto;
REVOKE ALL ON DATABASE heitto FROM PUBLIC;
ALTER ROLE CURRENT_USER PASSWORD NULL;
SQL

#!/bin/sh
# restore.sh BACKUP LEDGER CACHE: what back_up.sh kept, to places where nothing lies yet.
# LEDGER: the SQLite file, or the postgresql:// address of an empty database; CACHE: a folder, or gs://.
set -eu
[ $# -eq 3 ] || { echo "usage: restore.sh BACKUP LEDGER CACHE" >&2; exit 2; }
backup=$1 ledger=$2 cache=$3
(cd "$backup" && sha256sum --check --quiet SHA256SUMS) || { echo "$backup is damaged. Take an older one." >&2; exit 1; }
for place in "$ledger" "$cache"; do
  [ ! -e "$place" ] || { echo "$place is there already: nothing is overwritten. Move it away first." >&2; exit 1; }
done
umask 077
case $ledger in
  postgresql*) pg_restore --no-owner --exit-on-error --dbname="$(echo "$ledger" | sed 's/+psycopg2//')" "$backup/call_ledger.dump" ;;
  *) mkdir -p "$(dirname "$ledger")" && cp "$backup/call_ledger.sqlite" "$ledger" ;;
esac
case $cache in
  gs://*) gsutil -q -m rsync -r "$backup/forecast_cache" "$cache" ;;
  *) mkdir -p "$cache" && cp -R "$backup/forecast_cache/." "$cache" ;;
esac
echo "restored from $backup: look at it with timegpt-assets cache verify"

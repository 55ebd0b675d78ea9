#!/bin/sh
# back_up.sh LEDGER CACHE TARGET: the two things that were paid for, into a new folder (docs/how-to/back-up-and-restore.md).
# LEDGER: the SQLite file, or a postgresql:// address; CACHE: a folder, or gs://. Runs may go on meanwhile.
set -eu
[ $# -eq 3 ] || { echo "usage: back_up.sh LEDGER CACHE TARGET" >&2; exit 2; }
ledger=$1 cache=$2 target=$3
[ ! -e "$target" ] || { echo "$target is there already: nothing is overwritten. Name a new folder." >&2; exit 1; }
umask 077
mkdir -p "$target/forecast_cache"
# The ledger first: an answer that came in between is in the cache alone, sealed, and is entered again. The other way
# about the ledger would know of an answer whose bytes nobody has.
case $ledger in
  postgresql*) pg_dump --format=custom --file="$target/call_ledger.dump" "$(echo "$ledger" | sed 's/+psycopg2//')" ;;
  *) [ -f "$ledger" ] || { echo "there is no ledger $ledger. Name the file of forecast.api_budget.ledger_file." >&2; exit 1; }
     sqlite3 "$ledger" "VACUUM INTO '$target/call_ledger.sqlite'" ;;
esac
case $cache in
  gs://*) gsutil -q -m rsync -r "$cache" "$target/forecast_cache" ;;
  *) cp -R "$cache/." "$target/forecast_cache" ;;
esac
(cd "$target" && find . -type f ! -name SHA256SUMS -exec sha256sum {} + >SHA256SUMS)
echo "backed up to $target"

#!/bin/sh
# `writ` as the cases of this directory type it: ids stand for `$RUN` and the like, and what it prints is the same each time.
unset WRIT_SERVER WRIT_TOKEN WRIT_OUTPUT WRIT_CONFIG WRIT_CA
newest() { "$WRIT" "$1" list | grep -v standing | tail -n 1 | cut -f 1; }
for word; do
  shift
  case $word in
    '$RUN') word=$(newest run) ;;
    '$APPROVAL') word=$(newest approval) ;;
    '$INCIDENT') word=$(newest incident) ;;
    '$WAIVER') word=$(newest waiver) ;;
  esac
  set -- "$@" "$word"
done
said=$("$WRIT" "$@" 2>&1)
code=$?
[ -z "$said" ] || printf '%s\n' "$said" | sed -E -e "s#$PLACE#[PLACE]#g" -f "${0%/*}/same.sed"
exit $code

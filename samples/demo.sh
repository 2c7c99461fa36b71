#!/bin/sh
# What `make demo` shows: index the sample photos, then find them by words, by example, with a filter.
set -eu
PATH="$BIN:$PATH"
PIXSEEK_LIBRARY=.demo/library
export PATH PIXSEEK_LIBRARY

show() {
    printf '\n$ pixseek'
    for word in "$@"; do
        case "$word" in
            *[!A-Za-z0-9_./-]*) printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '\n'
    pixseek "$@"
}

show index samples
show search 'a cup of coffee' -k 3
show search 'sunset over a city' -k 3
show search 'snowy mountains' -k 3
show search --like samples/photo-06.jpg -k 3
show search 'animal' -k 3 --where '{"orientation": "landscape", "width": {"$gte": 1000}}'
show status
printf '\nNow try your own: %s/pixseek search "a dog on the beach" ~/Pictures\n' "$BIN"

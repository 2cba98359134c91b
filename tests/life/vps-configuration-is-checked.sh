#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The configuration is one private file; what was mistyped in it is refused with a hint, and never ignored.
. "$TESTS/life/vps.bash"
rootfs r
want 0 "$CTR" create --name web -e A=b --stop-timeout 5 --net none r sleep 100
config=$CTR_ROOT/instances/web/config.json
[ "$(stat -c %a "$config")" = 600 ] || fail "mode $(stat -c %a "$config")"
[ "$(stat -c %a "$CTR_ROOT/instances/web")" = 700 ] || fail "directory mode"
cp "$config" good
edit() { sed "$1" good >"$config"; }
edit 's/"env"/"evn"/'
want 1 "$CTR" start web
said err "unknown key 'evn', did you mean 'env'?"
want 0 "$CTR" list
said out damaged
edit 's/"stop-timeout": 5/"stop-timeout": "5"/'
want 1 "$CTR" start web
said err stop-timeout
edit 's/"none"/"nonne"/'
want 3 "$CTR" start web
said err "did you mean 'none'?"
edit 's/"version": 1/"version": 2/'
want 1 "$CTR" start web
said err 'version 2'
: >"$config"
want 1 "$CTR" start web
head -c 2000000 /dev/zero >"$config"
want 1 "$CTR" start web
rm "$config" && mkfifo "$config"
want 1 timeout 10 "$CTR" start web
rm "$config" && cp good "$config"
want 0 "$CTR" start web
# damaged while it runs: it can still be seen, stopped and removed
: >"$config"
want 0 "$CTR" list
want 0 "$CTR" rm -f web
# names
for bad in A a_b -a a.b a/b .. "$(printf 'x%.0s' {1..64})" 'a b' $'a\nb'; do
	want 2 "$CTR" create --name "$bad" r true
done
long=$(printf 'x%.0s' {1..63})
want 0 "$CTR" run --name "$long" r hostname
said out "$long"
want 0 "$CTR" rm "$long"
want 0 "$CTR" create r true
grep -qE '^[a-z]{8}$' out || fail "a random name: $(cat out)"
want 0 "$CTR" rm "$(cat out)"
nothing_left

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ctr doctor: one line a thing, a cure where there is one, the same as JSON, and exit status 1 if no instance can run.
fail() { echo "$*"; exit 1; }
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
command -v python3 >/dev/null || { echo "needs python3"; exit 77; }
verdict() { "$CTR" doctor --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["version"] == 1
print(next(c["verdict"] for c in d["checks"] if c["name"] == sys.argv[1]))' "$1"; }
is() { [ "$(verdict "$1")" = "$2" ] || fail "$1 is '$(verdict "$1")', not $2: $("$CTR" doctor | grep -A1 "$1")"; }

"$CTR" doctor >text || fail "this machine runs the other tests, but: $(cat text)"
[ "$(grep -c '^[a-z]' text)" = "$("$CTR" doctor --json | grep -c '"name"')" ] || fail "text and JSON differ"

chmod 755 "$CTR_ROOT" && is store limited
"$CTR" doctor >text || fail "fails although nothing is missing"
grep -q 'chmod 700' text || fail "no cure for a store that is open to others: $(cat text)"
chmod 700 "$CTR_ROOT" && is store ok

touch file
CTR_ROOT=$PWD/file "$CTR" doctor >text && fail "succeeds with a file for a store"
grep -q '^missing *store' text || fail "a file for a store is not missed: $(cat text)"

is path ok
mkdir bin && printf '#!/bin/sh\n' >bin/ctr && chmod 755 bin/ctr
PATH=$PWD/bin:$PATH is path limited
PATH=${CTR%/*}:$PWD/bin:$PATH is path ok

is leftovers ok
mkdir -p "$CTR_RUN/state/.open" && touch "$CTR_RUN/state/.open/died"
is leftovers limited
(flock 9 && is leftovers ok) 9>"$CTR_RUN/state/.open/died" || exit 1
rm "$CTR_RUN/state/.open/died"

# no cgroup2, no namespaces: in a mount namespace without the one, under a limit of none of the other
unshare -m sh -c 'mount --make-rprivate /; umount -l -R /sys/fs/cgroup; "$1" doctor' sh "$CTR" >text && fail "succeeds without cgroup v2"
grep -q '^missing *cgroups' text || fail "cgroup v2 is not missed: $(cat text)"

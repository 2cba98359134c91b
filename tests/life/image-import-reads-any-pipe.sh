#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Standard input may be a slow pipe, one that somebody made non-blocking, a socket, or a file that was read from before.
. "$TESTS/images/lib.sh"
small a.tar
id=$("$CTR" image import -q a.tar) || fail 'a file'
cat >feed.py <<'P'
import os, socket, subprocess, sys, time
if sys.argv[1] == "socket":
    ours, theirs = (s.detach() for s in socket.socketpair())
else:
    theirs, ours = os.pipe()
    os.set_blocking(theirs, sys.argv[1] != "non-blocking")
p = subprocess.Popen([os.environ["CTR"], "image", "import", "-q", "-"], stdin=theirs)
os.close(theirs)
data = open("a.tar", "rb").read()
for at in range(0, len(data), 1777):
    os.write(ours, data[at:at + 1777])
    time.sleep(0.02)
os.close(ours)
sys.exit(p.wait(20))
P
for how in blocking non-blocking socket; do
	[ "$(timeout 30 python3 feed.py $how)" = "$id" ] || fail "$how"
done
{ echo first line && cat a.tar; } >b
{ read -r _ && [ "$("$CTR" image import -q -)" = "$id" ]; } <b || fail 'a file that was read from before'
"$CTR" image import -q - <&- 2>err && fail 'a closed descriptor'
[ "$(wc -l <err)" = 1 ] || fail "said: $(cat err)"

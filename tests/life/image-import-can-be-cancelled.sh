#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ctrl-C, and the other signals that ask for an end: exit 1, one line, nothing left; also while it waits for input.
. "$TESTS/images/lib.sh"
small a.tar
for signal in INT TERM HUP; do
	mkfifo pipe
	# an interactive shell's way: background jobs of this one would ignore SIGINT
	python3 - "$CTR" $signal >out 2>err <<'P' &
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_DFL)
p = subprocess.Popen([sys.argv[1], "image", "import", "-", "x"], stdin=open("pipe", "rb"))
time.sleep(0.4)
p.send_signal(getattr(signal, "SIG" + sys.argv[2]))
sys.exit(p.wait(10) & 255)
P
	python=$!
	exec 9>pipe
	head -c 3000 a.tar >&9
	wait $python
	rc=$?
	exec 9>&-
	rm pipe
	[ $rc = 1 ] || fail "SIG$signal: exit status $rc: $(cat err)"
	[ "$(cat err)" = "ctr: cannot import 'standard input': cancelled" ] || fail "SIG$signal: $(cat err)"
	store_is_empty
done

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A line on the terminal once the work takes a while: part, rate. At the end it is gone. Never in a pipe, never for what
# is done at once, never on a dumb terminal.
. "$TESTS/images/lib.sh"
small a.tar
cat >slow.py <<'P'
# slow.py TERM OUTPUT COMMAND...: runs it with a terminal as standard error, and feeds a.tar so slowly that it takes 2 s
import os, pty, sys, time
os.environ["TERM"] = sys.argv[1]
data = open("a.tar", "rb").read()
r, w = os.pipe()
os.set_inheritable(r, True)
master, slave = pty.openpty()
pid = os.fork()
if pid == 0:
    os.dup2(r, 0); os.dup2(slave, 2)
    os.close(w); os.close(master)
    os.execvp(sys.argv[3], sys.argv[3:])
os.close(slave); os.close(r)
for i in range(4):
    os.write(w, data[i * 2560:(i + 1) * 2560 if i < 3 else None])
    time.sleep(0.5)
os.close(w)
out = b""
while True:
    try:
        part = os.read(master, 65536)
    except OSError:
        break
    if not part:
        break
    out += part
open(sys.argv[2], "wb").write(out)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
P
python3 slow.py xterm shown "$CTR" image import -q - x >/dev/null || fail 'on a terminal'
grep -q 'importing: .*B/s' shown || fail "shown: $(cat -v shown)"
[ "$(tail -c 4 shown | od -An -c | tr -d ' ')" = '\r033[K' ] || fail "the line stays: $(cat -v shown)"
python3 slow.py dumb shown "$CTR" image import -q - x >/dev/null || fail 'on a dumb terminal'
[ ! -s shown ] || fail "shown on a dumb terminal: $(cat -v shown)"
(cat a.tar; sleep 1.5) | "$CTR" image import -q - x 2>err >/dev/null || fail 'in a pipe'
[ ! -s err ] || fail "shown in a pipe: $(cat -v err)"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whoever attaches sees output as it comes and types into the instance; who leaves, is killed or does not read harms nobody.
. "$TESTS/life/vps.bash"
rootfs r
sed -i 's,^root:.*,root:x:0:0:root:/root:/bin/ash,' r/etc/passwd
cat >onpty.py <<'P'
# onpty.py TYPED...: runs the command in $CMD on a terminal; types what is given as "WAIT_FOR=KEYS", prints what was shown
import os, pty, sys, select, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", os.environ["CMD"]])
shown = b""
def read(until, seconds=10):
    global shown
    end = time.time() + seconds
    while until not in shown and time.time() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                data = os.read(fd, 4096)
            except OSError:
                return False
            if not data:
                return False
            shown += data
    return until in shown
for word in sys.argv[1:]:
    wait, keys = word.encode().decode("unicode_escape").encode("latin1").split(b"=", 1)
    if not read(wait):
        print("not seen:", wait, "in", shown)
        sys.exit(1)
    os.write(fd, keys)
read(b"\xff never", 3)
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
P
# a terminal: typed, echoed, resized, left, taken up again, ended
want 0 "$CTR" run -dt --name t --net none r sh
CMD="$CTR attach t" timeout 30 python3 onpty.py 'detaches=echo one$((1+1))\n' 'one2=\x10\x11' >shown || fail "attach: $(cat shown)"
grep -q 'goes on' shown || fail "detached: $(cat shown)"
is t status running || fail 'who leaves ends it'
"$CTR" logs t | grep -q one2 || fail 'the log has not what was shown'
CMD="$CTR console --detach-keys ctrl-a,x t" timeout 30 python3 onpty.py 'ctrl-a,x detaches=echo again$((2+2))\n' 'again4=\x01x' >shown || fail "console: $(cat shown)"
CMD="stty rows 33 cols 99; $CTR attach t" timeout 30 python3 onpty.py 'detaches=stty size\n' '33 99=exit 7\n' >shown
[ $? = 7 ] || fail "it exits as the instance does: $(cat shown)"
soon is t status stopped
want 125 "$CTR" attach t

# pipes: output to both, input by the FIFO, and the end
want 0 "$CTR" run -di --name p --net none r sh -c 'while read -r line; do echo "got $line"; [ "$line" != end ] || exit 5; done'
"$CTR" attach --no-stdin p >seen &
looker=$!
sleep 0.3
printf 'a\nb\n' | timeout 10 "$CTR" attach p >seen2 &
typist=$!
soon grep -q 'got b' seen
soon grep -q 'got b' seen2
kill -9 $typist 2>/dev/null
is p status running || fail 'a killed client ends it'
echo end | timeout 10 "$CTR" attach p >seen3
code=$?
[ $code = 5 ] || fail "exit code $code"
wait $looker
[ $? = 5 ] || fail 'who looks on hears of the end'
grep -q 'got end' seen || fail "seen: $(cat seen)"

# five at once: the fifth is told; who does not read blocks nobody
want 0 "$CTR" run -d --name f --net none r sh -c 'i=0; while [ $i -lt 60000 ]; do echo "$i 0123456789012345678901234567890123456789"; i=$((i+1)); done; echo over; sleep 1000'
mkfifo never
exec 9<>never # open for reading, and never read
clients=()
for _ in 1 2 3 4; do
	"$CTR" attach --no-stdin f >never 9>&- &
	clients+=($!)
done
sleep 0.3
want 125 timeout 10 "$CTR" attach f
said err 'too many'
over() { "$CTR" logs --tail 1 f | grep -q over; }
soon over
# its supervisor dies: it is said; another one takes those who attach
kill -9 "$(field f supervisor)"
want 125 "$CTR" attach f
said err 'lost its supervisor'
want 0 "$CTR" start f
timeout 5 "$CTR" attach --no-stdin f >/dev/null
is f status running || fail 'looking on ends it'
kill -9 "${clients[@]}" 2>/dev/null
wait "${clients[@]}" 2>/dev/null

# a login shell, as passwd names it
CMD="$CTR shell f" timeout 30 python3 onpty.py '#=echo $0 $((3+3)) $HOME\n' 'ash 6 /root=exit 3\n' >shown
[ $? = 3 ] || fail "shell: $(cat shown)"
echo 'id -u; exit 4' | "$CTR" shell -u www f >out
[ $? = 4 ] && [ "$(cat out)" = 33 ] || fail "a shell without a terminal: $(cat out)"
want 125 "$CTR" shell nobody
want 0 "$CTR" rm -f t p f
nothing_left

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# process.terminal: the master goes to --console-socket, or stays with a foreground run; size, controlling terminal, line ends.
. "$TESTS/life/oci.bash"

cat >receive.py <<-'PY'
	# receive.py SOCKET: accepts one master, prints what comes out of it until it hangs up
	import array, os, socket, sys, termios
	s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
	s.bind(sys.argv[1] + '.new'); s.listen(1); s.settimeout(20)
	os.rename(sys.argv[1] + '.new', sys.argv[1]) # there once it listens
	c, _ = s.accept()
	data, anc, _, _ = c.recvmsg(100, socket.CMSG_SPACE(4))
	fd = array.array('i', anc[0][2])[0]
	print('name', data.decode(), 'tty', os.isatty(fd))
	print('onlcr', bool(termios.tcgetattr(fd)[1] & termios.ONLCR), flush=True)
	os.write(fd, b'typed\n')
	try:
	    while True:
	        b = os.read(fd, 4096)
	        if not b: break
	        sys.stdout.write(b.decode()); sys.stdout.flush()
	except OSError:
	    pass
PY
payload='read x; echo "got $x"; tty; stty size; ls -l /proc/self/fd/0 /dev/console | sed s/.*root// | wc -l; test -t 0 && test -t 1 && test -t 2 && echo all three; exit 5'
bundle b "c['process']['terminal'] = True; c['process']['consoleSize'] = {'height': 33, 'width': 77}
sh('''$payload''')"

refused oci create -b b "$ID"
contains "console-socket" "$REFUSAL" "a terminal that nobody serves"
no_traces
refused oci create -b b --console-socket "$PWD/no-such" "$ID"
no_traces

python3 receive.py "$PWD/sock" >received &
until_true test -S sock
create -b b --console-socket "$PWD/sock" "$ID"
oci start "$ID" || fail "start"
wait
contains "tty True" "$(cat received)" "the master"
contains "onlcr False" "$(cat received)" "line ends are left to the terminal outside"
for text in "got typed" /dev/ "33 77" "all three"; do contains "$text" "$(cat received)" "the payload's terminal"; done
oci delete "$ID" || fail "delete"
no_traces

# a path too long for sun_path
long=$PWD/$(printf '%0100d' 0) && mkdir "$long"
(cd "$long" && exec python3 "$OLDPWD/receive.py" sock) >received &
until_true test -S "$long/sock"
create -b b --console-socket "$long/sock" "$ID"
oci start "$ID"
wait
contains "got typed" "$(cat received)" "a long path"
oci delete "$ID"

# in the foreground: between two terminals, and from a pipe
command -v script >/dev/null || skip "needs script(1)"
script -qec "stty rows 41 cols 99; '$CTR_OCI' --root '$ROOT' run -b b $ID" typescript <<<keys >/dev/null 2>&1
equal 5 "$?" "the exit code through a terminal"
for text in "got keys" "41 99" "all three"; do contains "$text" "$(cat typescript)" "a run on a terminal"; done
out=$(echo piped | oci run -b b "$ID")
equal 5 "$?" "the exit code through a pipe"
contains "got piped" "$out" "a run from a pipe"
bundle c "c['process']['args'] = ['/bin/sleep', '60']"
oci run -d -b c "$ID" >/dev/null </dev/null
contains "got more" "$(echo more | oci exec --tty "$ID" sh -c 'read x; echo got $x; test -t 0')" "exec --tty"

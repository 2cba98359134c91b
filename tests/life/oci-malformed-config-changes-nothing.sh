#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A config.json that is wrong in type, depth, size or encoding gets one line, and leaves things as they were.
. "$TESTS/life/oci.bash"

bundle good
cp good/config.json config.json
try() { # try WHAT: the config.json that is there now
	: >log
	refused oci --log log --log-format json create -b good --pid-file pid "$ID"
	equal 1 "$(wc -l <log)" "$1: lines in the log"
	[ ! -e pid ] || fail "$1: a pid file"
	no_traces "$1"
}
edit() {
	cp config.json good/config.json
	change good "$1"
	try "$1"
}
: >good/config.json && try 'empty'
head -c 700 config.json >good/config.json && try 'cut short'
echo '[]' >good/config.json && try 'an array'
echo 'null' >good/config.json && try 'null'
{ cat config.json && echo '{}'; } >good/config.json && try 'two documents'
python3 -c 'print("{\"a\":" * 10000 + "1" + "}" * 10000)' >good/config.json && try 'too deep'
python3 -c 'print("{\"a\": \"" + "x" * (21 << 20) + "\"}")' >good/config.json && try 'too large'
printf '{"ociVersion": "1.0.0\xff"}' >good/config.json && try 'not UTF-8'
printf '{"ociVersion": "1.0.0\\u0000"}' >good/config.json && try 'an embedded NUL'
printf '{"ociVersion": "1.0.0", "ociVersion": "1.0.1"}' >good/config.json && try 'a key twice'
rm good/config.json && try 'missing'
mkfifo good/config.json && try 'a FIFO' && rm good/config.json
mkdir good/config.json && try 'a directory' && rmdir good/config.json
ln -s /dev/zero good/config.json && try 'an endless device' && rm good/config.json
edit "c['process']['args'] = 'sh'"
edit "c['process']['args'] = [1]"
edit "c['process']['user']['uid'] = -1"
edit "c['process']['user']['uid'] = 2 ** 32"
edit "c['process']['user']['uid'] = '0'"
edit "c['process']['cwd'] = 'relative'"
edit "c['process']['capabilities'] = []"
edit "c['process']['rlimits'] = [{'type': 'RLIMIT_NOSUCH', 'soft': 1, 'hard': 1}]"
edit "c['linux']['namespaces'] = [{'type': 'nosuch'}]"
edit "c['linux']['namespaces'] += [{'type': 'pid'}]"
edit "c['mounts'] += [{'destination': '../../etc', 'type': 'tmpfs', 'source': 'tmpfs'}]"
edit "c['mounts'] = {}"
edit "c['root'] = {'path': '/no/such/directory'}"
edit "c['root'] = {}"
edit "c['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_NOSUCH'}"
edit "c['linux']['sysctl'] = {'kernel.core_pattern': '|/bin/evil'}"
edit "c['hooks'] = {'prestart': [{'path': 'relative'}]}"
edit "c['linux']['uidMappings'] = [{'containerID': 0, 'hostID': 0, 'size': 1}]"
edit "c['ociVersion'] = '2.0.0'"
edit "del c['ociVersion']"

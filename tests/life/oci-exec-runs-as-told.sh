#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# User (CVE-2026-30892: a number without a group must not become root), groups, environment, directory, process.json, pid file.
. "$TESTS/life/oci.bash"

bundle b "c['process']['args'] = ['/bin/sleep', '60']; c['process']['env'] += ['A=old', 'B=kept']
c['process']['user'] = {'uid': 5, 'gid': 6, 'additionalGids': [7]}"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run -d"
in_it() { oci exec "$@" 2>&1 </dev/null; }

equal "uid=5 gid=6 groups=7" "$(in_it "$ID" id)" "the container's own user"
equal "uid=1 gid=6 groups=7" "$(in_it -u 1 "$ID" id)" "-u 1"
equal "uid=1 gid=2 groups=7" "$(in_it --user 1:2 "$ID" id)" "--user 1:2"
equal "uid=0 gid=0 groups=7,8,9" "$(in_it -u 0:0 -g 8 --additional-gids=9 "$ID" id)" "groups"
for user in '' a 1a 1: :1 -1 1:-1 4294967295 4294967296 ' 1' 1:1:1 0x1; do
	refused oci exec --user "$user" "$ID" id
done
equal "new kept" "$(in_it -e A=new "$ID" sh -c 'echo $A $B')" "environment"
equal 1 "$(in_it -e A=new "$ID" env | grep -c '^A=')" "a variable that is set twice"
refused oci exec -e novalue "$ID" true
equal /bin "$(in_it --cwd /bin "$ID" sh -c pwd)" "--cwd"
refused oci exec --cwd bin "$ID" true
equal "-x --help" "$(in_it "$ID" echo -x --help)" "options of the command"
equal "a b" "$(in_it "$ID" -- echo 'a b')" "a command after --"

printf 'root:x:0:0::/root:/bin/sh\nbroken\nu:x:5:6::/home/u:/bin/sh\n' >b/rootfs/etc/passwd
for case in 5=/home/u 0=/root 7=/; do
	equal "${case#*=}" "$(in_it -u "${case%=*}" "$ID" sh -c 'echo $HOME')" "HOME of user ${case%=*}, from the image"
done
equal /given "$(in_it -e HOME=/given "$ID" sh -c 'echo $HOME')" "HOME as given"
equal /home/u "$(in_it -e HOME= "$ID" sh -c 'echo $HOME')" "an empty HOME"
rm b/rootfs/etc/passwd && mkfifo b/rootfs/etc/passwd
equal / "$(in_it "$ID" env | sed -n 's/^HOME=//p')" "HOME where passwd is no file"
rm b/rootfs/etc/passwd

echo '{"args": ["/bin/id"], "cwd": "/", "user": {"uid": 33, "gid": 44}}' >process.json
equal "uid=33 gid=44" "$(in_it --process process.json "$ID")" "--process"
equal "uid=33 gid=44" "$(in_it -p process.json "$ID")" "-p"
refused oci exec --process process.json "$ID" id
echo '{"args": ["/bin/id"], "cwd": "/", "user": {"uid": "x"}}' >process.json
refused oci exec --process process.json "$ID"
refused oci exec "$ID"

oci exec -d --pid-file exec.pid "$ID" sleep 61 >/dev/null </dev/null || fail "exec -d"
contains "sleep 61" "$(tr '\0' ' ' <"/proc/$(cat exec.pid)/cmdline")" "the pid file"
equal "" "$(comm -3 <(oci ps -f json "$ID" | tr -d '[]\n' | tr , '\n' | sort) <({ cat exec.pid; echo; pid_of "$ID"; } | sort))" "ps"
oci kill --all "$ID" KILL || fail "kill --all"
until_true is_status "$ID" stopped
refused oci exec "$ID" true
contains "not running" "$REFUSAL" "exec in a stopped container"

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real distribution: Debian 13 as debootstrap makes it is imported, and its own programs see an instance.
# timeout: 120
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
# the lab's base has one; `tests/lab/lab build-base` makes it
tar=$("$TESTS/lab/lab" rootfs-tar --cached) || { echo "the lab's base image is not built"; exit 77; }

fail() { echo "$*"; exit 1; }
in_debian() { "$CTR" run --rm --hostname debian13 debian:13 "$@"; }

"$CTR" image import "$tar" debian:13 >import 2>&1 || fail "$(cat import)"
in_debian cat /etc/os-release >out || fail "cat: exit code $?"
grep -q '^VERSION_CODENAME=trixie$' out || fail "not Debian 13: $(cat out)"
in_debian apt-get --version >out || fail "apt-get: exit code $?"
grep -q '^apt 3' out || fail "apt-get says: $(head -1 out)"
[ "$(in_debian id)" = "uid=0(root) gid=0(root) groups=0(root)" ] || fail "id says: $(in_debian id)"
[ "$(in_debian hostname)" = debian13 ] || fail "hostname says: $(in_debian hostname)"
in_debian ps aux >out || fail "ps: exit code $?"
[ "$(awk 'NR == 2 { print $1, $2, $11, $12 }' out)" = "root 1 ps aux" ] || fail "process 1 is not the payload: $(cat out)"
[ "$(wc -l <out)" = 2 ] || fail "ps sees more than itself: $(cat out)"
in_debian sh -c 'exit 7'
[ $? = 7 ] || fail "the exit code is lost"
# a package manager's idea of a sound system: nothing half installed, files owned as dpkg has them
in_debian dpkg --audit >out 2>&1 || fail "dpkg: $(cat out)"
[ ! -s out ] || fail "dpkg complains: $(cat out)"
[ "$(in_debian stat -c '%a %U %G' /usr/bin/passwd /etc/shadow | tr '\n' ' ')" = "4755 root root 640 root shadow " ] ||
	fail "modes or owners are not those of the image"

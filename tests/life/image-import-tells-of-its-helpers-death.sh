#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unpacking process killed, or not to be found: one line, exit 1, nothing left. And it dies with ctr.
. "$TESTS/images/lib.sh"
small a.tar
mkfifo pipe
"$CTR" image import - x <pipe 2>err &
ctr=$!
exec 9>pipe
helper=''
for _ in $(seq 100); do
	helper=$(cat "/proc/$ctr/task/$ctr/children" 2>/dev/null)
	[ -n "$helper" ] && [ "$(cat "/proc/${helper% }/comm" 2>/dev/null)" = ctr-unpack ] && break
	sleep 0.05
done
[ -n "$helper" ] || fail 'no helper was seen'
sleep 0.2
for ns in mnt net ipc; do
	[ "$(readlink "/proc/${helper% }/ns/$ns")" != "$(readlink "/proc/$ctr/ns/$ns")" ] || fail "the helper shares the host's $ns namespace"
done
# the sanitizers need calls that the filter refuses: that build has none
grep -q __asan_init "$BUILD/ctr-unpack" || grep -q '^Seccomp:.2' "/proc/${helper% }/status" || fail 'no seccomp filter'
grep -q '^NoNewPrivs:.1' "/proc/${helper% }/status" || fail 'privileges can be gained'
grep -qi '^CapEff:.000000008000001b$' "/proc/${helper% }/status" || fail "capabilities: $(grep Cap "/proc/${helper% }/status")"
grep -qi '^CapBnd:.000000008000001b$' "/proc/${helper% }/status" || fail "capabilities: $(grep Cap "/proc/${helper% }/status")"
[ "$(wc -l <"/proc/${helper% }/mountinfo")" = 1 ] || fail "it sees mounts: $(cat "/proc/${helper% }/mountinfo")"
for fd in "/proc/${helper% }/fd/"*; do
	[ ! -d "$fd" ] || [ "$(readlink "$fd")" = / ] || [ "$(stat -Lc %i "$fd")" = "$(stat -Lc %i "/proc/${helper% }/root")" ] ||
		fail "it holds a directory of the host: $(readlink "$fd")"
done
kill -9 "${helper% }"
wait $ctr
[ $? = 1 ] || fail 'the exit status'
grep -q 'killed; out of memory?' err && [ "$(wc -l <err)" = 1 ] || fail "said: $(cat err)"
exec 9>&-
store_is_empty

"$CTR" image import - x <pipe 2>err &
ctr=$!
exec 9>pipe
for _ in $(seq 100); do
	helper=$(cat "/proc/$ctr/task/$ctr/children" 2>/dev/null)
	[ -n "$helper" ] && break
	sleep 0.05
done
sleep 0.2
kill -9 $ctr
wait $ctr 2>/dev/null
for _ in $(seq 40); do
	[ -d "/proc/${helper% }" ] || break
	sleep 0.05
done
[ ! -d "/proc/${helper% }" ] || fail 'the helper outlives ctr'
exec 9>&-

# where systemd is process 1 all mounts are shared; nothing of the helper's may come out of there
before=$(wc -l </proc/self/mountinfo)
unshare -m --propagation shared sh -c '
	mount --make-rshared / && "$CTR" image import -q a.tar >/dev/null && wc -l </proc/self/mountinfo' >mounts || fail 'with shared mounts'
[ "$(cat mounts)" = "$before" ] || fail "mounts are left: $before, $(cat mounts)"
"$CTR" image rm "$("$CTR" image ls -q)" >/dev/null || fail rm

mkdir alone && cp "$CTR" alone/ctr
if [ ! -e /usr/local/libexec/ctr/ctr-unpack ]; then
	alone/ctr image import a.tar 2>err && fail 'without its helper'
	grep -q 'helper program' err || fail "said: $(cat err)"
fi
cp "$BUILD/ctr-unpack" alone/
alone/ctr image import -q a.tar >/dev/null || fail 'from another directory'
(cd alone && PATH=.:$PATH ctr image rm "$(ctr image ls -q)" >/dev/null && ctr image import -q ../a.tar >/dev/null) || fail 'by PATH'
# a copy of itself that was made against CVE-2019-5736 has no path
"$CTR" image rm "$("$CTR" image ls -q)" >/dev/null
"$CTR" run --rm --userns host ./a.tar /no/such/program 2>err
[ $? = 127 ] || fail "from a protected copy: $(cat err)"
"$CTR" image rm "$("$CTR" image ls -q)" >/dev/null || fail rm
store_is_empty

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An instance of an instance: ctr itself in a booted system, which shares the ids that there are, and podman, with either its own runtime or ours,
# on fuse-overlayfs or, on a volume, on overlayfs.
# timeout: 120
. "$TESTS/life/vps.bash"
rootfs r
mkdir -p r/old && echo x >r/old/x && tar -C r -cf r.tar .
mkdir bin && cp "$CTR" bin/ctr && ln -s ctr bin/ctr-oci
if ! ldd bin/ctr >/dev/null 2>&1; then
	want 0 "$CTR" run -d --name outer --profile system --net none -v "$PWD/bin:/opt:ro" -v "$PWD/r:/r:ro" r sleep 1000
	inside() { "$CTR" exec outer "$@"; }
	want 125 inside /opt/ctr run --rm --net none --userns host /r true
	said err "-v DIR:/var/lib/ctr"
	want 0 inside sh -c 'mkdir -p /var/lib/ctr && mount -t tmpfs -o mode=700 store /var/lib/ctr'
	want 125 inside /opt/ctr run --rm --net none /r true
	said err "--userns host"
	want 7 inside /opt/ctr run --rm --net none --userns host /r sh -c 'id -u; echo $$; exit 7'
	[ "$(xargs <out)" = "0 1" ] || fail "inside of inside: $(cat out)"
	want 0 inside /opt/ctr run -d --name in --net none --userns host /r sleep 1000
	want 0 inside /opt/ctr exec in sh -c 'rm -r /old && mkdir /old && echo y >/old/y && rm /etc/group'
	want 0 inside /opt/ctr diff in
	[ "$(grep -v '/etc/host' out | sort -k 2 | xargs)" = "D /etc/group D /old/x A /old/y" ] || fail "diff inside: $(cat out)"
	want 0 inside /opt/ctr stop -t 0 in
	want 0 inside /opt/ctr snapshot create in one
	want 0 inside /opt/ctr start in
	want 0 inside /opt/ctr exec in ls /old
	[ "$(cat out)" = y ] || fail "after a snapshot inside: $(cat out)"
	want 0 inside /opt/ctr list
	said out running
	want 0 inside /opt/ctr rm -f in
	want 0 "$CTR" rm -f outer
fi
if tree=$("$TESTS/lab/lab" tree 2>/dev/null) && [ -x "$tree/usr/bin/podman" ]; then
	mkdir store
	for volume in "" "$PWD/store:/var/lib/containers"; do
		want 0 "$CTR" run -d --name pod --profile system --net none -v "$PWD/bin:/opt:ro" -v "$PWD:/t:ro" ${volume:+-v "$volume"} "$tree" sleep 1000
		want 0 "$CTR" exec pod podman import -q /t/r.tar box:1
		for runtime in crun /opt/ctr-oci; do
			want 3 "$CTR" exec pod podman --runtime $runtime run --rm --network none box:1 sh -c 'cat /old/x; rm -r /old; id -u; exit 3'
			[ "$(xargs <out)" = "x 0" ] || fail "podman with $runtime on '$volume': $(cat out err)"
		done
		want 0 "$CTR" rm -f pod
	done
fi
nothing_left

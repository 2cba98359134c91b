#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rootfsPropagation says what a container shares with its caller, whose mounts are shared as those of a host with systemd:
# nothing of the container's own appears there, nothing there vanishes, and a volume that is to be shared is.
. "$TESTS/life/oci.bash"

# this namespace is the script's own (tests/life/contain.c)
top=$PWD
mkdir host && mount -t tmpfs host host && cd host || fail "cannot mount"
trap 'for id in $(oci list -q 2>/dev/null); do oci delete --force "$id"; done; cd "$top"; umount -l host' EXIT
mount --make-rshared / || fail "cannot share"
mkdir vol && mount -t tmpfs vol vol && mkdir vol/below && mount -t tmpfs below vol/below && mkdir vol/below/it &&
	mount -t tmpfs it vol/below/it || fail "cannot mount"
now() { cut -d' ' -f4- /proc/self/mountinfo | grep -v " cgroup" | sort; }
before=$(now)

bundle b "for s in ('bounding', 'effective', 'permitted'): c['process']['capabilities'][s].append('CAP_SYS_ADMIN')
c['root']['readonly'] = False"
cp b/config.json plain.json
for p in '' private rprivate slave rslave shared rshared unbindable runbindable; do
	cp plain.json b/config.json
	change b "
if '$p': c['linux']['rootfsPropagation'] = '$p'
sh('mount -t tmpfs new /tmp && touch /tmp/file && mount -t tmpfs new /vol/new && exec sleep 60')
mount('/vol', type='bind', source='$PWD/vol', options=['rbind'])
mount('/vol/new', type='tmpfs', source='tmpfs')"
	oci run -d -b b "$ID" >/dev/null 2>err </dev/null || fail "rootfsPropagation '$p': $(cat err)"
	until_true oci exec "$ID" test -e /tmp/file </dev/null
	equal "$before" "$(now)" "mounts while it runs, with rootfsPropagation '$p'"
	# CRIU cannot restore a root that is a slave, and who mounts below it on the host would mount in the container
	root=$(awk '$5 == "/"' "/proc/$(pid_of "$ID")/mountinfo")
	[[ $root != *master:* ]] || fail "rootfsPropagation '$p': the root is a slave: $root"
	oci delete --force "$ID"
	equal "$before" "$(now)" "mounts afterwards, with rootfsPropagation '$p'"
	rmdir vol/new
done

# what is asked for: a volume whose mounts are the caller's too
cp plain.json b/config.json
change b "
c['linux']['rootfsPropagation'] = 'rshared'
sh('mkdir /vol/new && mount -t tmpfs new /vol/new && touch /vol/new/file && exec sleep 60')
mount('/vol', type='bind', source='$PWD/vol', options=['rbind', 'rshared'])"
oci run -d -b b "$ID" >/dev/null </dev/null || fail "run"
until_true test -e vol/new/file
oci delete --force "$ID"
umount vol/new && rmdir vol/new || fail "the container's mount in a shared volume is not here"
equal "$before" "$(now)" "mounts at the end"

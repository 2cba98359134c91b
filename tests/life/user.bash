# SPDX-License-Identifier: Apache-2.0
# Sourced after vps.bash by the tests of what an ordinary user does: a user `tester` with ids of its own, whose home is $home/user.
# shellcheck shell=bash
for program in newuidmap setpriv nft; do
	command -v $program >/dev/null || { echo "needs $program"; exit 77; }
done
grep -q __asan_init "$CTR" && { echo "a sanitized build: it cannot look for leaks where it changes its user namespace"; exit 77; }
USER_ID=$((50000 + $$ % 10000)) # of this test alone
setpriv --reuid $USER_ID --regid $USER_ID --clear-groups unshare -U true 2>/dev/null || { echo "users may not make user namespaces here"; exit 77; }

home=/mnt # tests have a mount namespace of their own; their directory may be entered by root alone
mount -t tmpfs -o mode=755 tmpfs $home || fail "cannot prepare"
mkdir $home/bin $home/user && cp "$CTR" "$BUILD/ctr-unpack" "$BUILD/tests/life/inject" $home/bin/ || fail "cannot prepare"
rootfs $home/user/r && chown 7:7 $home/user/r/bin/busybox # somebody other than root
tar -C $home/user/r -cf $home/user/r.tar . && rm -r $home/user/r
chown -R $USER_ID:$USER_ID $home/user
printf 'tester:x:%s:%s::%s:/bin/sh\n' $USER_ID $USER_ID $home/user | cat /etc/passwd - >passwd
printf 'tester:300000:65536\n' >subids
for file in subuid subgid; do [ -e /etc/$file ] || : >/etc/$file; done
mount --bind passwd /etc/passwd && mount --bind subids /etc/subuid && mount --bind subids /etc/subgid || fail "cannot prepare"
DATA=$home/user/.local/share/ctr

# u ARG...: ctr as that user; FIRST_IN_PATH may hold a directory
u() {
	(cd $home/user && exec timeout $((30 * ${SLOW:-1})) setpriv --reuid $USER_ID --regid $USER_ID --clear-groups \
		env -i PATH="${FIRST_IN_PATH-}:$home/bin:$PATH" HOME=$home/user ctr "$@")
}
# those that end at this moment apart
processes() { ps -o stat=,pid=,args= -u $USER_ID | grep -v '^Z'; }
all_killed() {
	pkill -9 -u $USER_ID
	soon eval '[ -z "$(processes)" ]'
}
clean_up() {
	all_killed
	umount /etc/passwd /etc/subuid /etc/subgid
	umount -l $home
}
trap clean_up EXIT

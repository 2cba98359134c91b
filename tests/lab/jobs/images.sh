#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Imports under another kernel, another libarchive and another C library than those ctr-unpack was built with: its list of system
# calls is about what these really do. A distribution's root filesystem is imported and run, and the tests of tests/life that
# take seconds outside are run again.
# timeout: 900
. tests/lab/jobs/common

export CTR_ROOT=$LAB_TMP/store CTR_RUN=$LAB_TMP/run
began=$(now)
ctr image import - debian:13 <"$LAB_MINBASE"
verdict 'a Debian root filesystem is imported' [ $? = 0 ]
echo "that took $(since "$began") s"
release=$(ctr run --rm --net none debian:13 cat /etc/os-release)
verdict 'it runs' grep -q '^VERSION_ID="13"' <<<"$release"
root=$(echo "$CTR_ROOT"/roots/*)
if [ -d "$root" ]; then
	echo 'SKIP the index is sound: an index cannot be mounted here'
elif command -v fsck.erofs >/dev/null; then
	devices=()
	for layer in "$CTR_ROOT"/layers/*; do devices+=("--device=$layer"); done
	verdict 'the index is sound, says fsck.erofs' fsck.erofs "${devices[@]}" --extract "$root"
fi
# what others write is read, and what they unpack of it is what is mounted
if command -v skopeo >/dev/null && command -v umoci >/dev/null; then
	for form in docker-archive:$LAB_TMP/s.tar oci-archive:$LAB_TMP/s.oci.tar oci:$LAB_TMP/s.oci:1; do
		tests/images/layers.py oci "$LAB_TMP/layers" gzip &&
			skopeo --insecure-policy copy -q "oci:$LAB_TMP/layers:localhost/layers:1" "$form"
		file=${form#*:}
		id=$(ctr image import -q "${file%:1}" "from-skopeo:${form%%:*}")
		verdict "skopeo's ${form%%:*} is imported" [ "${#id}" = 64 ]
	done
	ids=$(ctr image ls -q | sort -u | wc -l)
	verdict 'all of them are one image' [ "$ids" = 2 ]
	umoci unpack --image "$LAB_TMP/s.oci:1" "$LAB_TMP/bundle" >/dev/null
	mkdir -p "$LAB_TMP/mnt"
	meta=$(grep -l '"whiteouts": true' "$CTR_ROOT"/images/*/meta.json)
	root=$CTR_ROOT/roots/$(sed -n 's/.*"root": "\([0-9a-f]*\)".*/\1/p' "$meta")
	mapfile -t layers < <(sed -n 's/^ *"\([0-9a-f]\{64\}\)",\{0,1\}$/\1/p' "$meta")
	if [ -f "$root" ] && "$(dirname "$(command -v ctr)")/tests/life/mount_index" "$root" "$LAB_TMP/mnt" "${layers[@]/#/$CTR_ROOT/layers/}"; then
		tests/images/tree.py "$LAB_TMP/mnt" | sed 1d >ours.txt
		tests/images/tree.py "$LAB_TMP/bundle/rootfs" | sed 1d >theirs.txt
		verdict 'umoci unpacks the same tree' diff ours.txt theirs.txt
		umount "$LAB_TMP/mnt"
	fi
	for id in $(ctr image ls -q | sort -u | grep -v "$(ctr image ls | awk '$1 == "debian:13" { print $2 }')"); do ctr image rm "$id"; done
fi
# what we write is read by others, and is the same tree there: of layers with whiteouts and links between them
if command -v skopeo >/dev/null && command -v umoci >/dev/null && command -v podman >/dev/null; then
	mkdir -p /etc/containers
	echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json
	ctr image import -q "$LAB_TMP/layers" saved:1 >/dev/null
	ctr image save -o "$LAB_TMP/saved.tar" saved:1
	mkdir -p "$LAB_TMP/mnt"
	ctr image mount saved:1 "$LAB_TMP/mnt"
	tests/images/tree.py "$LAB_TMP/mnt" | sed 1d >ours.txt
	verdict 'the tree to compare has entries' [ "$(wc -l <ours.txt)" -gt 20 ]
	umount "$LAB_TMP/mnt"
	for form in docker-archive oci-archive; do
		rm -rf "$LAB_TMP/from" "$LAB_TMP/bundle"
		skopeo --insecure-policy copy -q "$form:$LAB_TMP/saved.tar" "oci:$LAB_TMP/from:1"
		umoci unpack --image "$LAB_TMP/from:1" "$LAB_TMP/bundle" >/dev/null
		tests/images/tree.py "$LAB_TMP/bundle/rootfs" | sed 1d >theirs.txt
		verdict "skopeo reads what we save as $form, and umoci unpacks the same tree" diff ours.txt theirs.txt
	done
	# containers/storage cannot unpack that image, whoever saved it (a link to a file of a layer below): one more of our own for podman
	export STORAGE_DRIVER=vfs
	make_rootfs "$LAB_TMP/rootfs"
	mkdir -p "$LAB_TMP/rootfs/gone" "$LAB_TMP/rootfs/opaque/x"
	ctr run -d --name made --net none "$LAB_TMP/rootfs" sleep 1 >/dev/null
	ctr export --rootfs made | ctr image import -q - made:0 >/dev/null
	ctr rm -f made
	ctr run -d --name made --net none made:0 sh -c 'rmdir /gone; rm -r /opaque; mkdir /opaque; echo new >/opaque/new; ln /opaque/new /linked; chown 33:33 /opaque; chmod 1777 /opaque; sleep 1000' >/dev/null
	sleep 2
	want=$(ctr commit made made:1 | sed 's/.* //')
	ctr rm -f made
	ctr image mount made:1 "$LAB_TMP/mnt"
	tests/images/tree.py "$LAB_TMP/mnt" | sed 1d >ours.txt
	umount "$LAB_TMP/mnt"
	name=$(ctr image save made:1 | podman load -q 2>&1 | sed 's/.*: //')
	verdict 'podman loads what we save' grep -q made:1 <<<"$name"
	theirs=$(podman image mount "$name")
	tests/images/tree.py "$theirs" | sed 1d >theirs.txt
	verdict 'its tree is the same' diff ours.txt theirs.txt
	podman image umount "$name" >/dev/null
	id=$(podman save -q "$name" | ctr image load -q - back:1)
	verdict 'podman save | ctr image load gives the same image' [ "${id:0:12}" = "$want" ]
	podman rmi -f "$name" >/dev/null 2>&1
	ctr image prune --all >/dev/null
	ctr image import -q - debian:13 <"$LAB_MINBASE" >/dev/null
fi
ctr image rm debian:13
verdict 'it is gone' [ -z "$(find "$CTR_ROOT/layers" "$CTR_ROOT/tmp" -mindepth 1)" ]

CTR=$(command -v ctr) TESTS=$PWD/tests BUILD=$(dirname "$CTR")
export CTR TESTS BUILD
for test in archives-of-images-are-imported is-mounted-once import-gives-the-tree-that-tar-gives import-tells-of-its-helpers-death cve-2026-17106-symlinks-stay-inside \
	cve-2024-57970-headers-claim-too-much overlay-attributes-are-left-out odd-trees-come-out-right; do
	mkdir -p "$LAB_TMP/$test/t" "$LAB_TMP/$test/root" "$LAB_TMP/$test/run"
	(
		cd "$LAB_TMP/$test/t" &&
			TEST_NAME=$test CTR_ROOT=$LAB_TMP/$test/root CTR_RUN=$LAB_TMP/$test/run \
				unshare -m "$TESTS/life/image-$test.sh" >out 2>&1
	)
	rc=$?
	[ $rc = 0 ] || tail -n 20 "$LAB_TMP/$test/t/out"
	if [ $rc = 77 ]; then
		echo "SKIP $test: $(tail -n 1 "$LAB_TMP/$test/t/out")"
	else
		verdict "$test" [ $rc = 0 ]
	fi
done
# shellcheck disable=SC2154 # set by common
[ $failures = 0 ]

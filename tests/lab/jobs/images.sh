#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Imports under another kernel, another libarchive and another C library than those ctr-unpack was built with: its list of system
# calls is about what these really do. A distribution's root filesystem is imported and run, and the tests of tests/life that
# take seconds outside are run again.
. tests/lab/jobs/common

export CTR_ROOT=$LAB_TMP/store CTR_RUN=$LAB_TMP/run
began=$(now)
ctr image import - debian:13 <"$LAB_MINBASE"
verdict 'a Debian root filesystem is imported' [ $? = 0 ]
echo "that took $(since "$began") s"
release=$(ctr run --rm --net none debian:13 cat /etc/os-release)
verdict 'it runs' grep -q '^VERSION_ID="13"' <<<"$release"
ctr image rm debian:13
verdict 'it is gone' [ -z "$(find "$CTR_ROOT/layers" "$CTR_ROOT/tmp" -mindepth 1)" ]

CTR=$(command -v ctr) TESTS=$PWD/tests BUILD=$(dirname "$CTR")
export CTR TESTS BUILD
for test in import-gives-the-tree-that-tar-gives import-tells-of-its-helpers-death cve-2026-17106-symlinks-stay-inside \
	cve-2024-57970-headers-claim-too-much overlay-attributes-are-left-out odd-trees-come-out-right; do
	mkdir -p "$LAB_TMP/$test/t" "$LAB_TMP/$test/root" "$LAB_TMP/$test/run"
	(
		cd "$LAB_TMP/$test/t" &&
			CTR_ROOT=$LAB_TMP/$test/root CTR_RUN=$LAB_TMP/$test/run "$TESTS/life/image-$test.sh" >out 2>&1
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

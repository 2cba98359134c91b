# SPDX-License-Identifier: Apache-2.0
# Sourced after oci.bash by what needs CRIU: one that works on this kernel is first in PATH then, the machine's own or the lab's.
# shellcheck shell=bash

# Debian 12's own does not start on newer kernels; the lab's takes its loader and libraries from the lab's tree.
find_criu() {
	local tree loader
	criu check >/dev/null 2>&1 && return
	tree=$("$TESTS/lab/lab" tree 2>/dev/null) && [ -x "$tree/usr/sbin/criu" ] || skip "needs criu, and there is no lab to take it from"
	for loader in "$tree"/lib64/ld-linux-*.so.2 "$tree"/lib/ld-linux-*.so.1; do
		[ ! -e "$loader" ] || break
	done
	mkdir -p criu-bin
	cat >criu-bin/criu <<-SH
		#!/bin/sh
		exec '$loader' --library-path '$tree/usr/lib/$(uname -m)-linux-gnu:$tree/lib/$(uname -m)-linux-gnu' '$tree/usr/sbin/criu' "\$@"
	SH
	chmod +x criu-bin/criu
	export PATH=$PWD/criu-bin:$PATH
	criu check >/dev/null 2>&1 || skip "criu does not work on this kernel: $(criu check 2>&1 | grep -m 1 Error)"
}
find_criu

# saved ID [OPTION...]: its processes are in the directory `image`, which is new
saved() {
	local id=$1
	shift
	rm -rf image
	oci checkpoint --image-path image --work-path work "$@" "$id" 2>criu.err || fail "checkpoint: $(cat criu.err)"
}

# restored ID BUNDLE [OPTION...]
restored() {
	local id=$1 bundle=$2
	shift 2
	oci restore --detach --bundle "$bundle" --image-path image --work-path work "$@" "$id" >/dev/null 2>criu.err </dev/null ||
		fail "restore: $(cat criu.err)"
}

# counts FILE: the number in it grows
counts() {
	local before
	before=$(cat "$1")
	until_true grows "$1" "$before"
}
grows() { [ -s "$1" ] && [ "$(cat "$1")" -gt "$2" ]; }
COUNT='i=0; while :; do i=$((i + 1)); echo $i >/tmp/count.new; mv /tmp/count.new /tmp/count; sleep 0.05; done'

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Exit codes and words of both doors for wrong command lines, help on request, and output that cannot be written.
fail() { echo "$*"; exit 1; }
try() { # try CODE TEXT COMMAND...: standard output or error contains TEXT
	local code=$1 text=$2 out
	shift 2
	out=$("$@" 2>&1 </dev/null)
	[ $? = "$code" ] || fail "$*: not $code: $out"
	case $out in *"$text"*) ;; *) fail "$*: '$out' does not contain '$text'" ;; esac
}
try 0 'make an instance' "$CTR" help
try 0 'usage: ctr run' "$CTR" help run
try 0 'usage: ctr run' "$CTR" run --help
try 0 'usage: ctr image import' "$CTR" image import --help
try 0 'usage: ctr-oci create' "$CTR_OCI" create --help
try 0 'ctr version' "$CTR" --version
try 0 'spec: 1.' "$CTR_OCI" --version
try 2 'usage: ctr' "$CTR"
try 2 "did you mean 'run'" "$CTR" rnu
try 2 "did you mean '--name'" "$CTR" create --nmae x image
try 2 'needs NAME' "$CTR" start
try 2 'does not expect' "$CTR" version x
try 125 "did you mean '--rm'" "$CTR" run --rn image
try 125 'needs' "$CTR" run
try 125 "not a size" "$CTR" run -m 5q image
try 2 'second word: import, ls, rm' "$CTR" image --help
try 2 "unknown verb 'image foo'
" "$CTR" image foo
try 2 "did you mean 'image ls'" "$CTR" image lss
try 125 "--env: '' is not" "$CTR" run -e '' image
try 1 'unknown verb' "$CTR_OCI" rum
try 1 'needs ID' "$CTR_OCI" state
try 255 'unknown option' "$CTR_OCI" exec --nothing x true
try 1 'requires an argument' "$CTR_OCI" run --bundle
try 1 'log-format' "$CTR_OCI" --log-format xml list
try 1 'systemd'  "$CTR_OCI" --systemd-cgroup create x
try 1 'cgroup-manager' "$CTR_OCI" --cgroup-manager other create x

# the name alone chooses the door
ln -s "$CTR" my-oci-runtime && ln -s "$CTR" runtime
try 0 'ctr-oci version' ./my-oci-runtime --version
try 0 'ctr version' ./runtime --version

# a disk that is full, and streams that are closed
"$CTR" help >/dev/full 2>err && fail "wrote to /dev/full"
grep -q 'No space left' err || fail "$(cat err)"
"$CTR" help >&- 2>err && fail "wrote to a closed stream"
"$CTR" version <&- >/dev/null || fail "standard input is not needed"
"$CTR" rnu 2>&- && fail "an error without a place to go is one still"

# one line, and nothing that a terminal obeys, whatever the names are
out=$("$CTR_OCI" state $'a\nb\e[31m' 2>&1)
[ "$(printf '%s\n' "$out" | wc -l)" = 1 ] || fail "lines: $out"
case $out in *$'\e'*) fail "an escape sequence" ;; esac
true

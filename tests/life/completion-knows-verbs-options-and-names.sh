#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The script of `ctr completion bash` completes verbs, second words and options; those of other shells are at least printed.
fail() { echo "$*"; exit 1; }
eval "$("$CTR" completion bash)" || fail "bash cannot read it"
typed() { # typed WANTED WORD...: completing the last word offers WANTED, among others
	local wanted=$1
	shift
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	_ctr
	case " ${COMPREPLY[*]} " in *" $wanted "*) ;; *) fail "$*: no $wanted in '${COMPREPLY[*]}'" ;; esac
}
typed run "$CTR" r
typed image "$CTR" ''
typed import "$CTR" image ''
typed import "$CTR" --debug image i
typed --strip "$CTR" image import --s
typed --json "$CTR" image ls -
typed --rm "$CTR" run --
typed doctor "$CTR" help d
typed fish "$CTR" completion f
"$CTR" completion fish | grep -q "__fish_seen_subcommand_from run' -l rm" || fail "fish"
"$CTR" completion zsh | grep -q compinit || fail "zsh"
"$CTR" completion csh 2>/dev/null && fail "csh is not known"
true

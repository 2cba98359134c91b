#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each command of the README's "What to type", and of the manual's EXAMPLES, names a verb and options that there are.
fail() { echo "FAILED: $*"; exit 1; }
{
	sed -n '/^## What to type/,/^## /p' "$TESTS/../README.md" | sed -n 's/^    //p' | sed 's/   .*//'
	for page in "$TESTS"/../man/*.1; do
		sed -n '/^\.SH EXAMPLES/,/^\.SH [^E]/p' "$page" | grep '^ctr ' | sed 's/\\-/-/g; s/\\(aq/'"'"'/g; s/\\e/\\/g'
	done
} | sed "s/'[^']*'/WORD/g; s/\"[^\"]*\"/WORD/g; s/\$(ctr \([^)]*\))/; ctr \1/g" | tr ';|' '\n\n' | sed -n 's/^ *\(ctr .*\)$/\1/p' | sed 's/ && .*//' >commands
[ "$(wc -l <commands)" -ge 50 ] || fail "only $(wc -l <commands) commands were found"
while read -r _ verb next rest; do
	words="$next $rest"
	# a verb of two words
	case $verb in
	image | net | snapshot | usage | selftest) if [[ $next != -* ]] && "$CTR" "$verb" "$next" --help >help 2>/dev/null </dev/null; then verb="$verb $next" words=$rest; fi ;;
	esac
	# shellcheck disable=SC2086 # one word or two
	"$CTR" $verb --help >help 2>&1 </dev/null || fail "ctr $verb: $(cat help)"
	operands=0
	for word in $words; do
		case $word in
		--) break ;;
		--*) grep -q -- "${word%%=*}\b" help || fail "ctr $verb has no ${word%%=*}" ;;
		-?) grep -q -- " ${word}[, ]" help || fail "ctr $verb has no $word" ;;
		-??) for letter in "${word:1:1}" "${word:2:1}"; do grep -q -- " -${letter}[, ]" help || fail "ctr $verb has no -$letter"; done ;;
		*) operands=$((operands + 1)) ;;
		esac
		# from an image or a name on the words are the payload's
		case $verb in run | create | exec | shell) [ "$operands" -lt 3 ] || break ;; esac
	done
done <commands

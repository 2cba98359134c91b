#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Not hostile: what careless guards break. Entries through the links of a merged /usr; two entries of one name; names that mean
# something only in layers of a container image; a second archive behind the first.
. "$TESTS/images/lib.sh"
imported library-through-symlink without-innocent
[ -L "$(layer)/lib" ] && [ -f "$(layer)/usr/lib/x.so" ] && [ -f "$(layer)/usr/lib/y.so" ] || fail 'merged /usr is broken'
imported last-of-two-wins
[ "$(cat "$(layer)/f")" = second ] && [ "$(stat -c %a "$(layer)/f")" = 755 ] || fail 'the first of two files won'
[ "$(stat -c %a "$(layer)/was-file")" = 700 ] && [ -d "$(layer)/was-file" ] || fail 'a directory did not replace a file'
[ "$(cat "$(layer)/was-directory")" = 'now a file' ] || fail 'a file did not replace a directory'
[ -f "$(layer)/twice/kept" ] && [ "$(stat -c %a "$(layer)/twice")" = 711 ] || fail 'a directory named twice'
imported whiteouts-are-files
[ -f "$(layer)/usr/.wh.innocent" ] && [ -f "$(layer)/usr/.wh..wh..opq" ] || fail 'a whiteout meant something'
imported two-archives
grep -q 'data follows the end' err || fail 'a second archive was passed over in silence'
[ ! -e "$(layer)/usr/second" ] || fail 'a second archive was read'

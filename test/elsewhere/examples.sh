#!/bin/sh
# examples.sh DIRECTORY RUNNER COMPILER...: whether the examples, built with COMPILER and run by RUNNER, print what
# they should.  EXAMPLES and COMPANIONS say which, if not all.
set -eu
directory=$1 runner=$2
shift 2
mkdir -p "$directory"

for file in ${EXAMPLES:-examples/[0-9]*.c}; do
	name=${file#examples/}
	name=${name%.c}
	"$@" -std=c11 -O2 -pthread -I. -Iextra "$file" chan.c spawn.c ${COMPANIONS:-extra/chan_*.c} \
		-o "$directory/$name"
	$runner "$directory/$name" >"$directory/$name.out" </dev/null
	# Windows has two bytes for the end of a line.
	tr -d '\r' <"$directory/$name.out" | cmp - "examples/$name.expected"
done
echo "examples: all as expected"

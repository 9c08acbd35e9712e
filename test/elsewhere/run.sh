#!/bin/sh
# run.sh DIRECTORY RUNNER COMPILER...: the tests, some random programs and the examples, built with COMPILER, run by RUNNER.
#
# For systems without Check: test/elsewhere/check.[ch] stand in for it.  Tests that build programs themselves are left out.
# MULTIPLIER, EXCLUDE and EXCEPT say how slow the runner is, and which tags and tests do not go there; SOAK how the random
# programs are compiled.
set -eu
directory=$1 runner=$2
shift 2
mkdir -p "$directory"

sources= suites=
for file in test/test_*.c; do
	suite=${file#test/test_}
	suite=${suite%.c}
	case $suite in build | compile | counterd | course | examples | farm | install | manual | need | package | program | runner | sequence | size | trace | treehash | vendor) continue ;; esac
	sources="$sources $file"
	suites="$suites $suite"
done
printf 'SUITE(%s)\n' $suites >"$directory/suites.h"
for file in test/*.c; do
	case $file in test/test_*.c | test/soak.c | test/awake.c) ;; *) sources="$sources $file" ;; esac
done
companions=$(echo extra/chan_*.c) objects=
mkdir -p "$directory/extra"
for file in $companions; do
	"$@" -std=c11 -O2 -g -pthread -DCHAN_CHECK -DCALL_FAULTY -include test/faults.h -I. -Iextra -c "$file" -o "$directory/${file%.c}.o"
	objects="$objects $directory/${file%.c}.o"
done

"$@" -std=c11 -O2 -g -pthread -DCHAN_CHECK -I. -Iextra -Itest/elsewhere -I"$directory" \
	$sources $objects test/elsewhere/check.c -o "$directory/run"
CK_EXCLUDE_TAGS="${EXCLUDE:-}" CK_TIMEOUT_MULTIPLIER=${MULTIPLIER:-5} TEST_ROUNDS=2 \
	$runner "$directory/run" >"$directory/tests.log" 2>&1 || { cat "$directory/tests.log"; exit 1; }
tail -n 1 "$directory/tests.log"

"$@" -std=c11 -O2 -g -pthread -I. -Iextra ${SOAK:-} test/soak.c spawn.c $companions -o "$directory/soak"
$runner "$directory/soak" "${SECONDS_EACH:-3}" | tail -n 1

sh test/elsewhere/examples.sh "$directory" "$runner" "$@"

#!/bin/sh
# run.sh DIRECTORY RUNNER COMPILER...: the library on Windows, built by MinGW's COMPILER and run by RUNNER, which is wine.
#
# As a user builds it, without a warning: the examples and the course; what Windows has no counterpart for says so in a
# sentence.  Then the suites of what there is.  posix.h here says what they have to do without.
set -eu
directory=$1 runner=$2
shift 2
here=test/elsewhere/windows
mkdir -p "$directory/sys"
export WINEPREFIX="$PWD/$directory/wine" WINEDEBUG=-all

core='chan.c spawn.c extra/chan_timer.c extra/chan_context.c extra/chan_group.c extra/chan_broadcast.c'
warnings='-Werror -pedantic -Wall -Wextra -Wshadow -Wconversion -Wcast-qual'

library=
for file in $core; do
	library="$library $directory/$(basename "$file" .c)-user.o"
	"$@" -std=c11 $warnings -O2 -pthread -I. -Iextra -c "$file" -o "$directory/$(basename "$file" .c)-user.o"
done
"$@" -std=c11 -pthread -I. examples/01-hello.c chan.c spawn.c -o "$directory/hello.exe"
for file in extra/chan_fd.c extra/chan_signal.c extra/chan_watch.c; do
	"$@" -std=c11 -pthread -I. -Iextra -c "$file" -o "$directory/object.o" 2>"$directory/refused" &&
		{ echo "$file compiles: is it tested?" >&2; exit 1; }
	grep -q "#error \"${file#extra/}: .* leave this file" "$directory/refused" ||
		{ cat "$directory/refused" >&2; exit 1; }
done

# Not those of descriptors and signals.
for file in examples/[0-9]*.c; do
	name=${file#examples/}
	name=${name%.c}
	! grep -q 'chan_fd\.h\|chan_signal\.h' "$file" || continue
	"$@" -static -std=c11 $warnings -O2 -pthread -I. -Iextra "$file" $library -o "$directory/$name.exe"
	timeout 120 $runner "$directory/$name.exe" </dev/null | tr -d '\r' >"$directory/$name.out"
	cmp "$directory/$name.out" "examples/$name.expected"
done
echo 'examples: all as expected'
for file in course/*/*.c course/*/solutions/*.c; do
	"$@" -static -std=c11 -pthread -I. -Iextra "$file" $library -o "$directory/course.exe"
done
echo 'course: compiles'

suites='bulk close context elements group latest limits pool regress select stress tasks timer typed waitgroup'
printf 'SUITE(%s)\n' $suites >"$directory/suites.h"
for header in poll.h sys/wait.h sys/resource.h; do
	echo '#include "posix.h"' >"$directory/$header"
done
sources=
for suite in $suites; do
	sources="$sources test/test_$suite.c"
done
build()
{
	"$@" -std=c11 -O2 -g -pthread -DCHAN_PORTABLE -DCHAN_CHECK -I. -Iextra -Itest/elsewhere -I"$directory" -I$here
}
objects=
for file in $sources test/faults.c test/threads.c test/support.c test/main.c test/elsewhere/check.c; do
	object=$directory/$(basename "$file" .c).o
	build "$@" -include $here/posix.h -c "$file" -o "$object"
	objects="$objects $object"
done
for file in test/inside.c test/inside_spawn.c; do
	object=$directory/$(basename "$file" .c).o
	build "$@" -c "$file" -o "$object"
	objects="$objects $object"
done
for file in ${core#chan.c spawn.c}; do
	object=$directory/$(basename "$file" .c).o
	build "$@" -DCALL_FAULTY -include test/faults.h -c "$file" -o "$object"
	objects="$objects $object"
done
build "$@" -static $objects -o "$directory/run.exe"
CK_EXCLUDE_TAGS='large timing' CK_TIMEOUT_MULTIPLIER=${MULTIPLIER:-5} TEST_ROUNDS=2 \
	timeout 1800 $runner "$directory/run.exe" >"$directory/tests.log" 2>&1 ||
	{ grep -v '^TEST_SEED' "$directory/tests.log"; exit 1; }
tail -n 1 "$directory/tests.log"

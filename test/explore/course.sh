#!/bin/sh
# Explores every program of the course and the classical ones, or those given, and compares what is found with the comment
# at its top.  Where there is no failure all interleavings must have been tried.
set -u
[ $# -gt 0 ] || set -- course/*/*.c course/*/solutions/*.c test/programs/classical/*.c
failed=0
for program in "$@"; do
	wanted=$(sed -n 's/^ \* explore: //p' "$program")
	found=$(${MAKE:-make} -s --no-print-directory explore PROGRAM="$program" 2>/dev/null | head -n 1)
	found=${found#*.c: }
	case $wanted in
	'data race on '*) begin="data race: ${wanted#data race on }: " ;;
	'assertion failed: '*) begin="$wanted at " ;;
	deadlock) begin='deadlock: ' ;;
	*) begin="$wanted in " ;;
	esac
	case $found in
	*', not all interleavings'*) begin=unknown ;;
	esac
	case $found in
	"$begin"*) ;;
	*) echo "$program: $wanted; but found: $found"; failed=1 ;;
	esac
done
exit $failed

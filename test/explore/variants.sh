#!/bin/sh
# Builds each known-bad variant of variants.txt, explores it, and sees it fail with one of the verdicts expected.
# From the environment (explore.mk): CC BUILD TSAN NO_NAPS RENAME LINK, and LIBRARY: the names of its files, without chan_watch.
# Arguments: names of variants, default all; or --stale, which only sees whether each still changes something.
set -u
LIBRARY=${LIBRARY-}
here=test/explore
work=$BUILD/variants
mkdir -p "$work" || exit 2
parts=$(ls "$here"/*.c | grep -v '/program[^/]*$' | sed "s|.*/\(.*\)\.c|$BUILD/\1.o|")
caught=0 missed=0 stale=
[ "${1:-}" = --stale ] && stale=yes && shift

# Variants whose names begin with watch- are explored in the build with the watcher.
try() {
	name=$1 file=$2 verdicts=$3 script=$4 changed=$(basename "$2" .c) library=$LIBRARY
	set -- --short '--only pool-random' '--only triples' '--only faults-pairs' '--only fours'
	# Of those with spawn.c, the scenarios of channels know nothing.
	[ "$file" != spawn.c ] || set -- --short '--only pool-random' '--only faults-pool'
	case $name in
	retires-*) set -- "$@" '--scenario three-tasks-for-three-idle-timeout --pct 200000' ;;
	watch-*)
		library="$LIBRARY chan_watch"
		set -- '--short' '--only watched-pool-random' '--only watched-timer-changes' '--only watched-pairs' '--only watched-random' \
			'--scenario guard-goes-on-beside-a-stranger --pct 50000'
		;;
	errgroup-*) set -- '--only groups' '--only groups-three' ;;
	timer-* | context-*) set -- "$@" '--only timers-three' '--only timer-changes-three' '--only contexts-three' ;;
	broadcast-*) set -- '--only broadcasts' '--only broadcasts-three' '--only faults-broadcasts' ;;
	esac
	sed -E -z "$script" "$file" >"$work/$changed.c" || exit 2
	if cmp -s "$file" "$work/$changed.c"; then
		echo "STALE   $name: changes nothing in $file any more"
		return 1
	fi
	[ -n "$stale" ] && return 0
	object=$work/lib-$changed.o
	if ! eval "$CC -std=c11 -pthread -I. -Iextra $TSAN $NO_NAPS -c -o $object.raw $work/$changed.c" 2>"$work/log" ||
			! $RENAME "$object.raw" "$object"; then
		echo "BROKEN  $name: does not compile"
		return 1
	fi
	objects=$object
	for other in $library; do
		[ "$other" = "$changed" ] || objects="$objects $BUILD/lib-$other.o"
	done
	if ! $LINK -o "$work/explore" $parts $objects; then
		echo "BROKEN  $name: does not link"
		return 1
	fi
	found=passed
	for how in "$@"; do
		case $name in
		watch-*) how="--watched $how" ;;
		esac
		timeout 900 "$work/explore" $how >"$work/log" 2>&1
		status=$?
		if [ $status = 124 ]; then
			found='no end within 900 s'
			break
		fi
		if [ $status != 0 ]; then
			found=$(sed -n 's/^FAILED [^ ]*: \([a-z ]*\): .*/\1/p' "$work/log" | head -n 1 | tr ' ' -)
			found=${found:-crashed}
			break
		fi
	done
	case " $verdicts " in
	*" $found "*)
		echo "caught  $name: $found ($(sed -n 's/^FAILED \([^ ]*\): .*/\1/p' "$work/log" | head -n 1))"
		return 0
		;;
	esac
	echo "MISSED  $name: $found, expected one of: $verdicts"
	return 1
}

while IFS= read -r line; do
	case $line in
	'#'* | '') continue ;;
	esac
	name=${line%% | *} rest=${line#* | }
	file=${rest%% | *} rest=${rest#* | }
	verdicts=${rest%% | *} script=${rest#* | }
	if [ $# -gt 0 ]; then
		case " $* " in
		*" $name "*) ;;
		*) continue ;;
		esac
	fi
	if try "$name" "$file" "$verdicts" "$script"; then
		caught=$((caught + 1))
	else
		missed=$((missed + 1))
	fi
done <$here/variants.txt
[ -n "$stale" ] || echo "$caught variants caught, $missed not"
[ "$missed" -eq 0 ]

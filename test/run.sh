#!/bin/sh
# run.sh [COMMAND...]: all tests that are built in BUILD, run by COMMAND if there is one; then what Check says at the end,
# for all of them together.
#
# Each suite is a process, and two run at a time.  As a rule each test is a process too.  The tests of the suites in
# TOGETHER share one: a process for each test would take longer than the test, where everything is slowed down.
# If CK_RUN_SUITE or CK_RUN_CASE ask for a part, that is all that runs.
set -eu
export BUILD="${BUILD:-build}" TOGETHER="${TOGETHER-}"

[ -z "${CK_RUN_SUITE-}${CK_RUN_CASE-}" ] || exec "$@" "$BUILD/test/run"

logs=$BUILD/test/logs
rm -rf "$logs"
mkdir -p "$logs"
export TEST_SEED="${TEST_SEED:-$(date +%s)}"
echo "TEST_SEED=$TEST_SEED"

# Status 77: none of the suite's tests is wanted this time.  A test that ends the process which it shares ends the suite with
# status 0, but without the line of Check.
failed=0
sed -n 's/^SUITE(\(.*\))$/\1/p' "$BUILD/suites.h" | xargs -P 2 -I '{}' sh -c '
	suite=$1 log=$BUILD/test/logs/$1.log
	shift
	case " $TOGETHER " in *" $suite "*)
		export CK_FORK=no
		! command -v timeout >/dev/null || set -- timeout -s KILL 1200 "$@" ;;
	esac
	CK_RUN_SUITE=$suite "$@" "$BUILD/test/run" >"$log" 2>&1
	status=$?
	[ $status != 77 ] || exit 0
	grep -v "^TEST_SEED=" "$log"
	[ $status = 0 ] && grep -q "^100%: Checks: " "$log" || { echo "The suite $suite ended with status $status"; exit 1; }' sh '{}' "$@" || failed=1

awk -F '[ ,]+' '/^[0-9]+%: Checks: / { checks += $3; failures += $5; errors += $7 }
	END { printf "%d%%: Checks: %d, Failures: %d, Errors: %d\n",
		100 * (checks - failures - errors) / (checks + !checks), checks, failures, errors
	exit checks == 0 }' "$logs"/*.log || failed=1
exit $failed

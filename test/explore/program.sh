#!/bin/sh
# Compiles a program, explores it, and draws what failed: make explore PROGRAM=my.c
# From the environment (explore.mk): CC TSAN RENAME LINK BUILD PARTS PROGRAM, and what may be given: LIMIT TIME_LIMIT DEFINES ARGS
# JSON REPLAY FAULT.
set -u
here=test/explore
# With the directories, as each chapter of the course has a wrong.c.
name=$(printf '%s' "${PROGRAM%.c}" | sed 's,^[./]*,,; s,[^A-Za-z0-9_.-],-,g')
work=$BUILD/$name.program
mkdir -p "$BUILD" || exit 2
# Not that of another program.
[ -z "${JSON-}" ] || rm -f "$JSON"

eval "$CC $TSAN -I. -Iextra ${DEFINES-} -c -o '$work.raw' '$PROGRAM'" || exit 2

# What it calls must be something that is simulated, or known to do no harm.
sed 's/ .*//' $here/program-symbols.txt >"$work.known" || exit 2
unknown=$(nm -u "$work.raw" | sed 's/^ *[Uw] //' | grep -v '^__tsan_' | grep -vxF -f "$work.known" -f $here/program-known.txt)
if [ -n "$unknown" ]; then
	echo "$PROGRAM: calls what the explorer does not know:" $unknown >&2
	exit 2
fi
if ! nm "$work.raw" | grep -q ' T main$'; then
	echo "$PROGRAM: has no main" >&2
	exit 2
fi
objcopy --redefine-syms=$here/program-symbols.txt "$work.raw" "$work.renamed" &&
	objcopy --keep-global-symbol=program_main $RENAME "$work.renamed" "$work.o" &&
	$LINK -o "$work" $PARTS "$work.o" -lm || exit 2

# As a shell reads them.
eval "set -- ${ARGS-}" || exit 2

rm -f "$BUILD/$name.json" "$BUILD/$name.svg"
"$work" --name "$PROGRAM" --trace "$BUILD/$name.json" --limit "${LIMIT:-200000}" --time-limit "${TIME_LIMIT:-60}" ${FAULT:+--fault "$FAULT"} \
	${REPLAY:+--replay "$REPLAY"} -- "$@"
status=$?
if [ -f "$BUILD/$name.json" ] && [ -f extra/sequence.py ] && command -v python3 >/dev/null &&
		python3 extra/sequence.py "$BUILD/$name.json" -o "$BUILD/$name.svg"; then
	echo "Chart: $BUILD/$name.svg"
fi
if [ -n "${JSON-}" ] && [ -f "$BUILD/$name.json" ]; then
	cp "$BUILD/$name.json" "$JSON" || exit 2
	echo "Schedule: $JSON"
fi
exit $status

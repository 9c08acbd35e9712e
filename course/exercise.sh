#!/bin/sh
# Checks a solution of an exercise of the course: make exercise N=3.2 FILE=my.c
# exercises.txt says what is asked.
set -u
rules=course/exercises.txt

if [ -z "${N-}" ] || [ -z "${FILE-}" ]; then
	echo 'make exercise N=3.2 FILE=my.c, where N is chapter and exercise' >&2
	exit 2
fi
asked=$(awk -v n="$N" '$1 == n' $rules)
if [ -z "$asked" ]; then
	echo "There is no exercise $N. There are:" $(sed -n 's/^\([1-9w][^ ]*\) .*/\1/p' $rules | uniq) >&2
	exit 2
fi
[ -r "$FILE" ] || { echo "$FILE: cannot be read" >&2; exit 2; }

# Without comments, blank lines and indentation.
code()
{
	gcc -w -fpreprocessed -dD -E -P - 2>/dev/null | sed 's/[ 	]\{1,\}/ /g; s/^ //; /^$/d'
}

failed=0
complain()
{
	echo "Not yet: $1"
	failed=1
}

# ---- A copy of the library that is to break ------------------------------------------------------

set -- $(echo "$asked" | awk '$2 == "change" { print $3, $4 }')
if [ $# -eq 2 ]; then
	suite=$(sed -n 's/^# suite: //p' "$2")
	program=$(sed -n 's/^# program: //p' "$2")
	changed=$(code <"$FILE")
	if [ "$changed" = "$(code <"$1")" ]; then
		complain "nothing differs from $1."
	elif [ "$changed" != "$(sed -f "$2" "$1" | code)" ]; then
		complain "this is another change of $1 than the exercise asks for."
	else
		echo 'This is the change. In a copy of this directory that has it, see what breaks:'
		[ -z "$suite" ] || echo "    CK_RUN_SUITE=$suite make test"
		program=${program##*course/}
		[ -z "$program" ] || echo "    make course && build/course/${program%.c}"
	fi
	exit $failed
fi

# ---- A program -----------------------------------------------------------------------------------

errors=$(gcc -std=gnu11 -w -pthread -I. -Iextra -fsyntax-only -x c "$FILE" 2>&1) || {
	complain 'it does not compile.'
	echo "$errors"
	exit 1
}
text=$(code <"$FILE") || exit 2
before=$(mktemp) || exit 2
trap 'rm -f "$before"' EXIT
while read -r _ kind rest; do
	what=${rest%% : *}
	say=${rest#* : }
	case $kind in
	has) echo "$text" | grep -Eq -e "$what" || complain "$say" ;;
	not) ! echo "$text" | grep -Eq -e "$what" || complain "$say" ;;
	lines)
		code <"${what#* }" >"$before"
		count=$(echo "$text" | diff - "$before" | grep -c '^<')
		[ "$count" -le "${what%% *}" ] || complain "$say" ;;
	esac
done <<END
$asked
END

said=$(${MAKE:-make} -s --no-print-directory explore PROGRAM="$FILE" 2>&1)
verdict=$(echo "$said" | sed -n "1s|^$FILE: ||p")
case $verdict in
'no failure in '*', all interleavings'*)
	[ $failed -ne 0 ] || echo "Right: $verdict."
	exit $failed ;;
'no failure in '*)
	complain "$verdict."
	echo 'Nobody knows yet whether it is right.  Make it smaller, or give it more time: LIMIT=1000000 TIME_LIMIT=600'
	exit 1 ;;
'')
	echo "$said"
	exit 2 ;;
esac

complain "$verdict."
echo "$asked" | awk '$2 == "when"' | while read -r _ _ rest; do
	case $verdict in
	"${rest%% : *}"*) echo "${rest#* : }" ;;
	esac
done
case $verdict in
'data race'*) echo 'A data race: two accesses conflict, and neither happens before the other (chapter 1).' ;;
'assertion failed'*) echo 'No data race, but wrong in what the program should do (chapter 1).' ;;
deadlock*) echo 'Every thread waits, and none is left to end the wait (chapter 7).' ;;
esac
case $said in *'
Again: '*)
	echo "$said" | sed '1d; /^Again: /,$d'
	echo "Step through it: make player PROGRAM=$FILE" ;;
esac
exit 1

#!/bin/sh
# size.sh [DIRECTORY]: whether the library is still thin: how long its files, its lines and its functions are, that the
# core names no companion, and whether the README has the lines right.  Prints the numbers, and on stderr each that is too
# large or wrong; then its status is 1.
set -eu
LC_ALL=C
export LC_ALL
cd "${1:-.}"

failed=0

# A number, and the most that it may be.
most()
{
	printf '%-54s %5d of %d\n' "$1" "$2" "$3"
	[ "$2" -le "$3" ] || { echo "Too much: $1: $2, where $3 is the most" >&2; failed=1; }
}

# Lines that must not be there, as LINE: TEXT.
none()
{
	[ -z "$2" ] || { printf '%s:\n%s\n' "$1" "$2" >&2; failed=1; }
}

# The widest line as an editor shows it, the number of lines, and the name, of each file.
sizes()
{
	awk 'function report() { if (file != "") print widest + 0, lines, file }
		FNR == 1 { report(); widest = 0; file = FILENAME }
		{ lines = FNR; at = 0; parts = split($0, part, "\t")
		for (i = 1; i <= parts; i++) at = (i > 1 ? at - at % 8 + 8 : 0) + length(part[i])
		if (at > widest) widest = at }
		END { report() }' "$@"
}

# The lines between the braces of each function, its name, and its file.
functions()
{
	awk '/^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
		/^[A-Za-z_].*\) *\{.*\}$/ { print 1, name, FILENAME; next }
		/^\{/ { start = FNR }
		/^\}/ { if (start) print FNR - start - 1, name, FILENAME; start = 0 }' "$@"
}

# The part of a file from the heading of one part to that of the next.
part_lines()
{
	awk -v one="==== $2[.] " -v next_one="==== $3[.] " '$0 ~ "^/[*] " one { from = NR } $0 ~ "^/[*] " next_one { to = NR }
		END { print (from && to > from) ? to - from : 0 }' "$1"
}

# A file with the numbers of its lines, without the hooks of the traces and the comment above what defines them.
numbered()
{
	awk '/^# *ifdef CHAN_TRACE$/ { hooks = 1; if (held ~ /^[0-9]+: \/[*].*[*]\/$/) held = "" }
		held != "" { print held; held = "" }
		!hooks && !/^[ \t]*TRACE\(.*\);$/ { held = NR ": " $0 }
		/^# *endif/ { hooks = 0 }
		END { if (held != "") print held }' "$1"
}

# The same without the comments.
code()
{
	numbered "$1" | awk '{
		line = ""
		number = $1
		sub(/^[0-9]+: /, "")
		for (rest = $0; rest != ""; ) {
			at = match(rest, inside ? "[*]/" : "/[*]|//")
			if (at == 0) { if (!inside) line = line rest; break }
			if (!inside) line = line substr(rest, 1, at - 1)
			if (!inside && substr(rest, at, 2) == "//") break
			rest = substr(rest, at + 2)
			inside = !inside
		}
		if (line ~ /[^ \t]/) print number " " line
	}'
}

# Lines for the traces: the hooks, or what defines them.
hooks()
{
	awk -v which="$2" '/^# *ifdef CHAN_TRACE$/ { inside = 1 }
		inside { defining++ }
		/^# *endif/ { inside = 0 }
		/^[ \t]*TRACE\(/ { hooks++ }
		END { print which == "hooks" ? hooks + 0 : defining + 0 }' "$1"
}

sizes=$(sizes chan.c chan.h spawn.c spawn.h extra/chan_*.c extra/chan_*.h)

# ---- The core ----------------------------------------------------------------------------------------------------

while read -r columns lines file; do
	case $file in
	chan.c) most "$file: lines" "$lines" 1600 ;;
	spawn.c) most "$file: lines" "$lines" 800 ;;
	chan.h) most "$file: lines" "$lines" 300 ;;
	esac
done <<END
$sizes
END

for part in I:II II:III III:IV; do
	size=$(part_lines chan.c ${part%:*} ${part#*:})
	[ "$size" -gt 0 ] || none 'chan.c' "no heading of part ${part%:*}, or of part ${part#*:} after it"
	[ $part != I:II ] || most 'chan.c, part I: lines' "$size" 650
done
read -r number median <<END
$(functions chan.c | sort -n | awk '{ body[NR] = $1 } END { print NR, body[int(NR / 2) + 1] + 0 }')
END
most "chan.c, $number functions: the median of their lines" "$median" 7

# What belongs to a companion has one of these names, also in a comment.
names='(^|[^A-Za-z0-9_])chan_(timer|tick|at|after|context|group|broadcast|fd|poll|signal|notify|watch|dump|trace|called_at|call_over|set_printer)([^A-Za-z0-9]|$)'
foreign='timerfd|eventfd|/proc|sigwait|sigaction|signalfd|dladdr'
# Where there is no sigtimedwait, spawn.c takes what a task has sent its own thread.
own='sigwait\(&one'
# These words a comment may use.
words='(^|[^A-Za-z])(timer|context|descriptor|deadlock)(s|_|[^A-Za-z]|$)'
for file in chan.c spawn.c; do
	code=$(code $file)
	most "$file: hooks of the traces" "$(hooks $file hooks)" 8
	most "$file: lines that define them" "$(hooks $file defining)" 12
	none "$file names a companion" "$(numbered $file | grep -vE "$own" | grep -E "$names|$foreign" || :; printf '%s\n' "$code" | grep -E "$words" || :)"
	none "$file has a part for a companion" "$(printf '%s\n' "$code" | grep -E '# *(el)?if.*CHAN_[A-Z]*(TIMER|CONTEXT|GROUP|BROADCAST|FD|SIGNAL|NOTIFY|WATCH|DEBUG|DUMP|DEADLOCK|TRACE)|# *include "(extra/)?chan_' || :)"
done

fields=$(code chan.c | awk '/: struct chan \{$/ { inside = 1; next } /: \};/ { inside = 0 } inside')
[ -n "$fields" ] || none chan.c 'no struct chan found'
none 'struct chan has a field of a companion' "$(echo "$fields" | grep -E '# *if|[ *](due|period|deadline|fd|fd_in|told|polled|parent|is_parent|child|children|older|younger|dropped|made_[a-z]*|caller|file|line|use|traced|print)(\[.*\])?[;,]' || :)"

# ---- All of it -----------------------------------------------------------------------------------------------------

while read -r columns lines file; do
	most "$file: columns" "$columns" 110
done <<END
$sizes
END
while read -r lines file; do
	most "$file: lines of the longest function" "$lines" 40
done <<END
$(functions chan.c spawn.c extra/chan_*.c | awk '$1 > most[$3] { most[$3] = $1 } END { for (file in most) print most[file], file }' | sort -k 2)
END
# The column of the README, to ten.  test_manual.c looks whether each pair is there.
pairs=$(awk -F'|' '/^\| `[a-z_\/]+\.\[ch\]`/ { gsub(/[` ,]/, ""); sub(/\.\[ch\]/, "", $2); print $2, $3 }' README.md)
[ -n "$pairs" ] || none README.md 'no table of files found'
while read -r pair lines; do
	n=$(cat "$pair.c" "$pair.h" | wc -l)
	[ $((n - lines)) -le 10 ] && [ $((lines - n)) -le 10 ] ||
		none "The README gives $pair.[ch] a wrong number of lines" "$lines, where it has $n"
done <<END
$pairs
END
none 'Functions that are too long' "$(functions chan.c spawn.c extra/chan_*.c | awk '$1 > 40 { print $1, $2 }')"
exit $failed

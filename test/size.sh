#!/bin/sh
# size.sh [DIRECTORY]: whether the library is still thin: how long its files, its lines and its functions are, and that
# the core names no companion.  Prints the numbers, and on stderr each that is too large; then its status is 1.
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

lines()
{
	awk 'END { print NR }' "$1"
}

# The widest line as an editor shows it.
width()
{
	expand "$1" | awk 'length > most { most = length } END { print most + 0 }'
}

# The lines between the braces of each function, and its name.
functions()
{
	awk '/^[A-Za-z_].*\(/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
		/^[A-Za-z_].*\) *\{.*\}$/ { print 1, name; next }
		/^\{/ { start = NR }
		/^\}/ { if (start) print NR - start - 1, name; start = 0 }' "$1"
}

longest()
{
	functions "$1" | sort -n | awk '{ most = $1 } END { print most + 0 }'
}

median()
{
	functions "$1" | sort -n | awk '{ body[NR] = $1 } END { print body[int(NR / 2) + 1] + 0 }'
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

# ---- The core ----------------------------------------------------------------------------------------------------

for limit in chan.c:1600 spawn.c:800 chan.h:300; do
	most "${limit%:*}: lines" "$(lines "${limit%:*}")" "${limit#*:}"
done

for part in I:II II:III III:IV; do
	size=$(part_lines chan.c ${part%:*} ${part#*:})
	[ "$size" -gt 0 ] || none 'chan.c' "no heading of part ${part%:*}, or of part ${part#*:} after it"
	[ $part != I:II ] || most 'chan.c, part I: lines' "$size" 650
done
most "chan.c, $(functions chan.c | wc -l | tr -d ' ') functions: the median of their lines" "$(median chan.c)" 7

# What belongs to a companion has one of these names, also in a comment.
names='(^|[^A-Za-z0-9_])chan_(timer|tick|at|after|context|group|broadcast|fd|poll|signal|notify|watch|dump|trace|called_at|call_over|set_printer)([^A-Za-z0-9]|$)'
foreign='timerfd|eventfd|/proc|sigwait|sigaction|signalfd|dladdr'
# Where there is no sigtimedwait, spawn.c takes what a task has sent its own thread.
own='sigwait\(&one'
# These words a comment may use.
words='(^|[^A-Za-z])(timer|context|descriptor|deadlock)(s|_|[^A-Za-z]|$)'
for file in chan.c spawn.c; do
	most "$file: hooks of the traces" "$(hooks $file hooks)" 8
	most "$file: lines that define them" "$(hooks $file defining)" 12
	none "$file names a companion" "$(numbered $file | grep -vE "$own" | grep -E "$names|$foreign" || :; code $file | grep -E "$words" || :)"
	none "$file has a part for a companion" "$(code $file | grep -E '# *(el)?if.*CHAN_[A-Z]*(TIMER|CONTEXT|GROUP|BROADCAST|FD|SIGNAL|NOTIFY|WATCH|DEBUG|DUMP|DEADLOCK|TRACE)|# *include "(extra/)?chan_' || :)"
done

fields=$(code chan.c | awk '/: struct chan \{$/ { inside = 1; next } /: \};/ { inside = 0 } inside')
[ -n "$fields" ] || none chan.c 'no struct chan found'
none 'struct chan has a field of a companion' "$(echo "$fields" | grep -E '# *if|[ *](due|period|deadline|fd|fd_in|told|polled|parent|is_parent|child|children|older|younger|dropped|made_[a-z]*|caller|file|line|use|traced|print)(\[.*\])?[;,]' || :)"

# ---- All of it -----------------------------------------------------------------------------------------------------

for file in chan.c chan.h spawn.c spawn.h extra/chan_*.c extra/chan_*.h; do
	[ -e "$file" ] || continue
	most "$file: columns" "$(width "$file")" 110
	case $file in
	*.c)
		most "$file: lines of the longest function" "$(longest "$file")" 40
		none "$file has functions that are too long" "$(functions "$file" | awk '$1 > 40')" ;;
	esac
done
exit $failed

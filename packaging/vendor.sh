#!/bin/sh
# vendor.sh DIRECTORY [NAME...]: copies chan.[ch] into a project, with the pairs of these names (spawn timer
# watch ...), what they need, and those that the directory has already.  `make vendor DIR=... WITH='...'` calls it.
#
# What a file needs is said in its first lines: "Needs chan.h and chan.c."
set -u
LC_ALL=C
export LC_ALL

fail()
{
	echo "make vendor: $*" >&2
	exit 2
}

# Where a file of the library stands; nothing if it is none of those that are copied.
place()
{
	for at in "$1" "extra/$1"; do
		case $at in
		chan.[ch] | spawn.[ch] | extra/chan_*.[ch] | extra/*.py) [ ! -f "$at" ] || echo "$at" ;;
		esac
	done
}

# The names of all pairs but chan.
names()
{
	for file in spawn.c extra/chan_*.c; do
		file=${file##*/chan_}
		echo "${file%.c}"
	done
}

# The base of a pair's files.
base()
{
	if [ -f "extra/chan_$1.c" ]; then echo "chan_$1"; else echo "$1"; fi
}

# The words of the sentence that begins with Needs; spawn.[ch] is spawn.c, with which its header comes.
needs()
{
	sed -n '1,12s/^ \* *//p' "$(place "$1.c")" | tr '\n' ' ' | sed -n 's/.*Needs \(.*\)/\1/p' |
		sed 's/\.\[ch]/.c/g; s/\. .*//; s/\.$//' | tr -c 'A-Za-z0-9_.\n' ' '
}

# Adds a pair, and then what it needs, to files.
add()
{
	case " $files " in *" $(place "$1.c") "*) return ;; esac
	files="$files $(place "$1.c") $(place "$1.h")"
	for word in $(needs "$1"); do
		case $(place "$word") in
		'') ;;
		*.py) files="$files $(place "$word")" ;;
		*) add "${word%.[ch]}" ;;
		esac
	done
}

# Whether the directory has this file, and from us: its first lines say its name.
ours()
{
	head -n 3 "$dir/$1" 2>/dev/null | grep -qF -e "$1 - "
}

version_of()
{
	number=$(awk '$2 == "CHAN_VERSION" { print $3; exit }' "$1" 2>/dev/null)
	echo "${number:-100}"
}

written()
{
	echo "$(($1 / 10000)).$(($1 / 100 % 100)).$(($1 % 100))"
}

# The sections of the changelog down to that of this version.
since()
{
	awk -v old="$1" '/^## / {
		version = 1e9
		if (match($0, /[0-9]+\.[0-9]+\.[0-9]+/)) {
			split(substr($0, RSTART, RLENGTH), part, ".")
			version = part[1] * 10000 + part[2] * 100 + part[3]
		}
		shown = version > old
	}
	shown' CHANGELOG.md
}

dir=${1:-}
[ -n "$dir" ] || fail "DIR is missing: make vendor DIR=path [WITH='$(echo $(names))']"
case $dir in -*) dir=./$dir ;; esac
shift

for name in "$@"; do
	names | grep -qxF -e "$name" || [ "$name" = chan ] ||
		fail "nothing here is called $name; there are: $(echo $(names))"
done

mkdir -p "$dir" 2>/dev/null || fail "$dir cannot be made, or is no directory"
for at in . extra; do
	! [ "$dir" -ef "$at" ] || fail "$dir is where the library itself stands"
done

files=
add chan
for name in $(names); do
	# Asked for, or there already.
	case " $* " in
	*" $name "*) add "$(base "$name")" ;;
	*) ! ours "$(base "$name").c" || add "$(base "$name")" ;;
	esac
done

for file in $files; do
	there=${file##*/}
	[ ! -e "$dir/$there" ] || ours "$there" || fail "$dir/$there is not of this library; nothing was copied"
done

new=$(version_of chan.h)
old=
[ ! -f "$dir/chan.h" ] || old=$(version_of "$dir/chan.h")
[ "${old:-0}" -le "$new" ] ||
	fail "$dir has version $(written "$old"), which is newer than $(written "$new"); nothing was copied"

# First beside, so that a copy that fails has changed nothing.
beside=$dir/.chan-$$
trap 'rm -rf "$beside"' EXIT
mkdir "$beside" 2>/dev/null && cp $files "$beside" || fail "cannot write to $dir"
changed=
for file in "$beside"/*; do
	[ ! -e "$dir/${file##*/}" ] || cmp -s "$file" "$dir/${file##*/}" || changed="$changed ${file##*/}"
done
mv -f "$beside"/* "$dir" || fail "cannot write to $dir"

if [ -n "$old" ] && [ "$old" -lt "$new" ]; then
	echo "In $dir was version $(written "$old").  The changes since then:"
	echo
	since "$old"
elif [ -n "$changed" ]; then
	echo "This version was there, but these files of it were different:$changed"
fi
case $dir in *[!A-Za-z0-9_./-]*) shown="\"$dir\"" ;; *) shown=$dir ;; esac
flags= sources= copied=
for file in $files; do
	copied="$copied ${file##*/}"
	case $file in *.c) sources="$sources $shown/${file##*/}" ;; esac
	case $file in *chan_trace.c) flags=' -DCHAN_TRACE' ;; esac
done
echo "Version $(written "$new") is in $dir:$copied"
echo 'Compile it with your program:'
echo "    cc -std=c11 -pthread$flags -I$shown prog.c$sources"

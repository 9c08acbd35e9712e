#!/bin/sh
# 32-bit.sh: prints what to put before a 32 bit program of this processor to run it: nothing, or an emulator where the
# kernel refuses such programs.  Status 1: neither can.
probe=$(mktemp) || exit 1
trap 'rm -f "$probe"' EXIT

# Calls exit(0).  It needs no C library, so that it also tells before a 32 bit one is installed.
echo 'void _start(void) { __asm__ volatile("int $0x80" : : "a"(1), "b"(0)); }' |
	gcc -m32 -nostdlib -static -xc -o "$probe" - 2>/dev/null || exit 1
for runner in '' qemu-i386 qemu-i386-static; do
	if env $runner "$probe" 2>/dev/null; then
		echo "$runner"
		exit
	fi
done
exit 1

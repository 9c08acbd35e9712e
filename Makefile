# For GNU make.  What a person types:
#
#   make                    the static and the shared library and the examples, below build/
#   make run [DIR=...]      the main example, treehash, on a directory
#   make test               all tests
#   make size               the limits that keep the library thin, and how much of each is used
#   make course             the programs of the course, below build/course/
#   make tsan asan valgrind the tests under ThreadSanitizer (gcc and clang), AddressSanitizer with LeakSanitizer and
#                           UndefinedBehaviorSanitizer, and valgrind (memcheck and helgrind)
#   make explore PROGRAM=my.c  all interleavings of a small program: deadlocks, data races, failed assertions
#   make soak [SECONDS=60]  random programs on the library, its accounts made up after each
#   make awake [PROGRAMS=..] random programs that do not deadlock, closely watched for one
#   make bench              this library against Go, Rust, GLib, APR and plain pthreads, as far as they are found:
#                           bench/results.md; make bench-setup installs them all
#   make bench-scaling      the same library with 1, 2, 4, ... threads, on one channel and on many; make bench-steps counts,
#                           make bench-group tells what a task of a group costs
#   make bench-broadcast    what a publish costs for each of 1, 10 and 100 subscribers, against as many sends
#   make counterd-bench     the server of examples/counterd against the same in Go
#   make task-cost          what a task and a hand-over cost here
#   make trace [EXAMPLE=..] what an example does, as a picture: build/trace/07-workers.svg
#   make vendor DIR=.. [WITH='spawn timer'] copies what your project needs into it, or renews the copy there
#   make site               the site, static pages below build/site/; make site-test looks at it in a browser
#   make exercise N=3.2 FILE=my.c  what is still wrong with a solution of an exercise of the course
#   make slides             the chapters of the course, to show and to print
#   make player PROGRAM=my.c  a page that steps through the schedule that breaks a program
#   make install uninstall  below PREFIX (/usr/local), inside DESTDIR
#   make dist               build/chan-VERSION.tar.gz, of what is committed
#   make clean
#
# What a target needs and the machine lacks is installed, if that is allowed (test/need.sh); with NEED=: nothing is.

CFLAGS ?= -O2 -g
PREFIX ?= /usr/local
includedir ?= $(PREFIX)/include
libdir ?= $(PREFIX)/lib
pkgconfigdir ?= $(libdir)/pkgconfig
datadir ?= $(PREFIX)/share
mandir ?= $(datadir)/man
BUILD ?= build
SECONDS ?= 60
PROGRAMS ?= 1000000
DIR ?= $(firstword $(wildcard /usr/include) .)

# As chan.h says it, which goes into every copy: 200 is 0.2.0.
VERSION := $(shell awk '$$2 == "CHAN_VERSION" { printf "%d.%d.%d", $$3 / 10000, $$3 / 100 % 100, $$3 % 100 }' chan.h)
MAJOR = $(firstword $(subst ., ,$(VERSION)))

ifeq ($(shell uname -s),Darwin)
SHARED = libchan.$(VERSION).dylib
SONAME = libchan.$(MAJOR).dylib
DEVELOP = libchan.dylib
ARFLAGS = rcs
SHARED_FLAGS = -dynamiclib -install_name $(libdir)/$(SONAME)
else
SHARED = libchan.so.$(VERSION)
SONAME = libchan.so.$(MAJOR)
DEVELOP = libchan.so
ARFLAGS = rcsD
# A thread of the pool may be in it when a program closes it, so it stays.
SHARED_FLAGS = -shared -Wl,-soname,$(SONAME) -Wl,-z,nodelete
endif

WARNINGS = -pedantic -Wall -Wextra -Wshadow -Wconversion
COMPILE = $(CC) -std=c11 $(WARNINGS) -Wcast-qual -pthread -I. -Iextra -I$(BUILD) $(CPPFLAGS) $(CFLAGS) $(SANITIZE)
NEED = CC='$(CC)' sh test/need.sh

COMPANIONS = $(sort $(wildcard extra/chan_*.c))
SOURCES = chan.c spawn.c $(COMPANIONS)
HEADERS = chan.h spawn.h $(sort $(wildcard extra/chan_*.h))
LIBRARIES = $(BUILD)/libchan.a $(BUILD)/$(SHARED)
LADDER = $(patsubst examples/%.c,$(BUILD)/examples/%,$(sort $(wildcard examples/[0-9]*.c)))
COOKBOOK = $(patsubst examples/%.c,$(BUILD)/examples/%,$(sort $(wildcard examples/cookbook/*.c)))
COURSE = $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard course/*/*.c course/*/solutions/*.c)))
TREEHASH := $(shell pkg-config --exists libcrypto 2>/dev/null && echo $(BUILD)/examples/treehash)
TREEHASH_OBJECTS = $(patsubst examples/%.c,$(BUILD)/%.o,$(wildcard examples/treehash/*.c))
COUNTERD = $(addprefix $(BUILD)/examples/,counterd counterd-load)
DIRECTORIES = $(addprefix $(BUILD)/,extra test test/extra examples examples/cookbook treehash counterd bench)
SUITES = $(patsubst test/test_%.c,%,$(sort $(wildcard test/test_*.c)))
# Those in which each test is about other processes: a tool that looks into this one has nothing to see.
OF_PROCESSES = border build compile counterd course deadlock english exercise farm install manual need package program \
	runner sequence size trace vendor
TEST_PROGRAMS = test/soak.c test/awake.c
TEST_SOURCES = $(filter-out $(TEST_PROGRAMS) test/test_%,$(wildcard test/*.c)) $(SUITES:%=test/test_%.c)
TEST_OBJECTS = $(patsubst %.c,$(BUILD)/%.o,$(sort $(TEST_SOURCES))) \
	$(COMPANIONS:%.c=$(BUILD)/test/%.o)

.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all run run-here test check size course exercise tsan tsan-gcc tsan-clang asan valgrind memcheck helgrind soak awake mutate install uninstall vendor dist clean FORCE

all: $(LIBRARIES) $(LADDER) $(COOKBOOK) $(TREEHASH) $(COUNTERD)

# ---- Running it ------------------------------------------------------------------------------------------------

# A second make, because what is there to build depends on what the first step installs.
run:
	@$(NEED) pkg-config crypto || echo 'Without it treehash cannot be built; here is the worker pool instead.' >&2
	@$(MAKE) --no-print-directory run-here DIR='$(DIR)'

ifneq ($(TREEHASH),)
run-here: $(TREEHASH)
	@echo 'The SHA-256 of every regular file below $(DIR), by several tasks at once:' >&2
	@echo '$(TREEHASH) $(DIR)' >&2
	@$(TREEHASH) '$(DIR)'
	@echo 'Done. Other directories: make run DIR=...' >&2
else
run-here: $(BUILD)/examples/07-workers
	$(BUILD)/examples/07-workers
endif

test:
	@$(NEED) cc pkg-config check crypto
	@$(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory explore-if-possible
	@$(MAKE) --no-print-directory size

check: all $(BUILD)/test/run
	@BUILD='$(BUILD)' sh test/run.sh

size:
	@sh test/size.sh

# Wrong programs too, so all does not make them.
course: $(COURSE)

# A solution of an exercise of the course.
exercise:
	@MAKE='$(MAKE)' sh course/exercise.sh

# Random programs until the time is up.
soak: $(BUILD)/test/soak
	$(BUILD)/test/soak $(SECONDS) $(TEST_SEED)

# Random programs that do not deadlock.
awake: $(BUILD)/test/awake
	$(BUILD)/test/awake $(PROGRAMS) $(TEST_SEED)

# Some hours; python3 test/mutate.py --sample 50 tries some.
mutate:
	@$(NEED) cc pkg-config check crypto python3
	python3 test/mutate.py

# ---- Building --------------------------------------------------------------------------------------------------

# Rewritten, and with it everything rebuilt, only when the compiler or the flags have changed.
$(BUILD)/flags: FORCE | $(DIRECTORIES)
	@echo '$(subst ','\'',$(COMPILE) $(LDFLAGS))' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(DIRECTORIES):
	@mkdir -p $@

# The same bytes, wherever it is built.
LIBRARY = $(COMPILE) -fdebug-prefix-map='$(CURDIR)=.' -fvisibility=hidden -DCHAN_EXPORT

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(LIBRARY) $(WITH_WATCHER) -MMD -MP -c -o $@ $<

$(BUILD)/%.pic.o: %.c $(BUILD)/flags
	$(LIBRARY) -fPIC -MMD -MP -c -o $@ $<

# A linker takes from an archive only what somebody calls, and the watcher nobody has to call.
$(BUILD)/chan.o: WITH_WATCHER = $(if $(wildcard extra/chan_watch.c),-include packaging/with_watcher.h)

$(BUILD)/libchan.a: $(SOURCES:%.c=$(BUILD)/%.o)
	@rm -f $@
	$(AR) $(ARFLAGS) $@ $^

$(BUILD)/$(SHARED): $(SOURCES:%.c=$(BUILD)/%.pic.o)
	$(COMPILE) $(LDFLAGS) $(SHARED_FLAGS) -o $@ $^

$(BUILD)/treehash/%.o: examples/treehash/%.c $(BUILD)/flags
	$(COMPILE) $(shell pkg-config --cflags libcrypto) -MMD -MP -c -o $@ $<

$(BUILD)/examples/treehash: $(TREEHASH_OBJECTS) $(BUILD)/libchan.a
	$(COMPILE) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs libcrypto) $(LDLIBS)

$(BUILD)/examples/%: examples/%.c $(BUILD)/libchan.a $(BUILD)/flags
	$(COMPILE) -MMD -MP $(LDFLAGS) -o $@ $< $(BUILD)/libchan.a $(LDLIBS)

$(BUILD)/course/%: course/%.c $(BUILD)/libchan.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -DCHAN_DEBUG $(LDFLAGS) -o $@ $< $(BUILD)/libchan.a $(LDLIBS)

# The first holds chan.c, the second chan_watch.c: what -MMD -MP adds is no file to link.
$(BUILD)/test/soak: test/soak.c $(BUILD)/spawn.o $(COMPANIONS:%.c=$(BUILD)/%.o)
	$(COMPILE) -MMD -MP $(LDFLAGS) -o $@ $< $(filter %.o,$^) $(LDLIBS)

$(BUILD)/test/awake: test/awake.c $(BUILD)/chan.o $(BUILD)/spawn.o
	$(COMPILE) -MMD -MP $(LDFLAGS) -o $@ $< $(filter %.o,$^) $(LDLIBS)

$(BUILD)/suites.h: FORCE | $(BUILD)/test
	@printf 'SUITE(%s)\n' $(SUITES) >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/test/main.o: $(BUILD)/suites.h

# Every unlock checks the invariants.
$(BUILD)/test/%.o: test/%.c $(BUILD)/flags
	$(COMPILE) -DCHAN_CHECK -MMD -MP -c -o $@ $<

# The companions, as the tests see them: each call of the system may fail.
$(BUILD)/test/extra/%.o: extra/%.c test/faults.h $(BUILD)/flags
	$(COMPILE) -DCHAN_CHECK -DCALL_FAULTY -include test/faults.h -MMD -MP -c -o $@ $<

# inside.o and inside_spawn.o hold chan.c and spawn.c, so the library must not give them a second time.
$(BUILD)/test/run: $(TEST_OBJECTS)
	$(COMPILE) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(LDLIBS)

-include examples/counterd/counterd.mk examples/farm/farm.mk bench/bench.mk test/verify.mk test/explore/explore.mk site/site.mk
-include $(wildcard trace/trace.mk extra/trace.mk)

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d $(BUILD)/test/extra/*.d $(BUILD)/examples/cookbook/*.d)

# ---- Sanitizers ------------------------------------------------------------------------------------------------

# The tests that fit: those that look at other processes test nothing that is instrumented; ThreadSanitizer and
# helgrind know no thread that holds more than 64 locks; and what is slowed down takes less of the long tests.
INSIDE = SUITES='$(filter-out $(OF_PROCESSES),$(SUITES))'
SANITIZED = $(MAKE) --no-print-directory check CFLAGS='-O1 -g -fno-omit-frame-pointer' \
	CK_TIMEOUT_MULTIPLIER=4 TEST_ROUNDS=10 TOGETHER='$(TOGETHER)' $(INSIDE)
# The suites none of whose tests needs a process of its own: there a process takes longer than the test.
TOGETHER = broadcast bulk close context elements fd limits regress select stress typed waitgroup

tsan: tsan-gcc tsan-clang
tsan-gcc tsan-clang: tsan-%:
	@$(NEED) cc pkg-config check crypto $(filter clang,$*)
	+CK_EXCLUDE_TAGS='process large many-locks cancelled' TSAN_OPTIONS=atexit_sleep_ms=50 $(SANITIZED) \
		CC=$* BUILD=build/$@ SANITIZE=-fsanitize=thread

asan:
	@$(NEED) cc pkg-config check crypto
	+CK_EXCLUDE_TAGS='process large cancelled' $(SANITIZED) BUILD=build/asan \
		SANITIZE='-fsanitize=address,undefined -fno-sanitize-recover=all'

# Here one thread runs at a time, so nothing that is timed means anything, and other programs are not followed.  helgrind
# leaves it to memcheck that each call fails, one after the other: much may leak there, and nothing races.
NOT_UNDER_VALGRIND = process program large many-locks stress timing
VALGRIND = CK_TIMEOUT_MULTIPLIER=20 TEST_ROUNDS=2 TOGETHER='$(TOGETHER)' sh test/run.sh \
	valgrind -q --error-exitcode=99 --fair-sched=yes --max-stackframe=16777216

valgrind: memcheck helgrind
memcheck:
	@$(NEED) cc pkg-config check crypto valgrind
	+$(MAKE) --no-print-directory build/memcheck/test/run BUILD=build/memcheck CFLAGS='-O1 -g' $(INSIDE)
	BUILD=build/memcheck CK_EXCLUDE_TAGS='$(NOT_UNDER_VALGRIND)' $(VALGRIND) \
		--leak-check=full --errors-for-leak-kinds=definite
helgrind:
	@$(NEED) cc pkg-config check crypto valgrind
	+$(MAKE) --no-print-directory build/helgrind/test/run BUILD=build/helgrind CC=gcc CFLAGS='-O1 -g' \
		CPPFLAGS='-include packaging/helgrind.h' $(INSIDE)
	BUILD=build/helgrind CK_EXCLUDE_TAGS='$(NOT_UNDER_VALGRIND) reused-lock each-fault' $(VALGRIND) \
		--tool=helgrind --suppressions=test/helgrind.supp

# ---- Installing ------------------------------------------------------------------------------------------------

CONFIGURED = $(addprefix $(BUILD)/,chan.pc chan-config.cmake chan-config-version.cmake)
cmakedir = $(libdir)/cmake/chan
MANUAL = $(wildcard man/*.3)
# For programs that are run under valgrind.
VALGRINDS = packaging/chan.supp packaging/helgrind.h

$(CONFIGURED): $(BUILD)/%: packaging/%.in FORCE | $(BUILD)/test
	@sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@includedir@|$(includedir)|' -e 's|@libdir@|$(libdir)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@MAJOR@|$(MAJOR)|' -e 's|@SONAME@|$(SONAME)|' -e 's|@DEVELOP@|$(DEVELOP)|' $< >$@

# A page and another name for it, for each function that has no page of its own.
LINKS = awk '$$1 == ".Nm" && $$2 ~ /^[a-z]/ { page = FILENAME; sub(".*/", "", page); \
	if ($$2 ".3" != page) print page, $$2 ".3" }' $(MANUAL)

install: $(LIBRARIES) $(CONFIGURED)
	install -d '$(DESTDIR)$(includedir)/chan' '$(DESTDIR)$(libdir)' '$(DESTDIR)$(pkgconfigdir)' '$(DESTDIR)$(cmakedir)' \
		'$(DESTDIR)$(mandir)/man3' '$(DESTDIR)$(datadir)/chan'
	install -m 644 $(HEADERS) '$(DESTDIR)$(includedir)/chan'
	install -m 644 $(BUILD)/libchan.a '$(DESTDIR)$(libdir)'
	install -m 755 $(BUILD)/$(SHARED) '$(DESTDIR)$(libdir)'
	ln -sf $(SHARED) '$(DESTDIR)$(libdir)/$(SONAME)'
	ln -sf $(SONAME) '$(DESTDIR)$(libdir)/$(DEVELOP)'
	install -m 644 $(BUILD)/chan.pc '$(DESTDIR)$(pkgconfigdir)'
	install -m 644 $(BUILD)/chan-config.cmake $(BUILD)/chan-config-version.cmake '$(DESTDIR)$(cmakedir)'
	install -m 644 $(VALGRINDS) '$(DESTDIR)$(datadir)/chan'
	install -m 644 $(MANUAL) '$(DESTDIR)$(mandir)/man3'
	@$(LINKS) | (umask 022; cd '$(DESTDIR)$(mandir)/man3' && while read page name; do echo ".so man3/$$page" >$$name; done)

uninstall:
	cd '$(DESTDIR)$(includedir)/chan' && rm -f $(notdir $(HEADERS))
	-rmdir '$(DESTDIR)$(includedir)/chan'
	cd '$(DESTDIR)$(libdir)' && rm -f libchan.a $(SHARED) $(SONAME) $(DEVELOP)
	rm -f '$(DESTDIR)$(pkgconfigdir)/chan.pc'
	rm -f '$(DESTDIR)$(cmakedir)/chan-config.cmake' '$(DESTDIR)$(cmakedir)/chan-config-version.cmake'
	-rmdir '$(DESTDIR)$(cmakedir)'
	cd '$(DESTDIR)$(datadir)/chan' && rm -f $(notdir $(VALGRINDS))
	-rmdir '$(DESTDIR)$(datadir)/chan'
	cd '$(DESTDIR)$(mandir)/man3' && rm -f $(notdir $(MANUAL)) $$(cd '$(CURDIR)' && $(LINKS) | cut -d' ' -f2)

# ---- Copying ---------------------------------------------------------------------------------------------------

quoted = '$(subst ','\'',$(1))'

# The DIR of make run is nobody's project.
vendor:
	@sh packaging/vendor.sh $(if $(filter file,$(origin DIR)),'',$(call quoted,$(DIR))) $(WITH)

# ---- Releasing -------------------------------------------------------------------------------------------------

# The same bytes for the same commit, whoever makes it and when.
dist: | $(BUILD)/test
	@git diff --quiet HEAD || echo 'Not in it, because it is not committed:' $$(git diff --name-only HEAD) >&2
	git -c tar.umask=0022 archive --format=tar --prefix=chan-$(VERSION)/ HEAD >$(BUILD)/chan-$(VERSION).tar
	gzip -9 -n -f $(BUILD)/chan-$(VERSION).tar

clean:
	rm -rf build

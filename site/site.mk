# The site: make site                   static pages below build/site/
#           make site-test              the same in a real browser, headless
#           make slides                 the course as slides, to show and to print: build/slides.html
#           make player PROGRAM=my.c    build/my.html, which steps through the schedule that breaks a program, if one does
#
# Made by pandoc, mandoc and pygments, with schedules from the explorer.  The search is minisearch, which npm
# fetches once; where it cannot, the site has no search, and make says so.

SITE = $(BUILD)/site
SITE_PYTHON = $(or $(shell python3 -c 'import pygments' 2>/dev/null && echo python3),/usr/bin/python3)
TEST_PYTHON = $(or $(shell python3 -c 'import selenium' 2>/dev/null && echo python3),/usr/bin/python3)
MINISEARCH = $(BUILD)/minisearch-7.2.0/minisearch.js

# Programs of the course that say that they fail; the explorer knows Linux on x86-64 only.
ifeq ($(shell uname -sm),Linux x86_64)
SCHEDULES = $(patsubst %.c,$(BUILD)/schedules/%.json,$(shell grep -l '^ \* explore: [^n]' course/*/*.c))
endif

# Named as test/explore/program.sh names its files.
PLAYER = $(BUILD)/$(shell printf '%s' '$(PROGRAM:.c=)' | sed 's,^[./]*,,; s,[^A-Za-z0-9_.-],-,g').html

EXPLORE_QUIETLY = $(MAKE) -s --no-print-directory explore

.PHONY: site site-here site-test site-test-here slides player

# A second make, because what python there is depends on what the first step installs.
site:
	@$(NEED) pandoc mandoc pygments
	@$(MAKE) --no-print-directory site-here

site-here: $(SCHEDULES)
	@$(MAKE) -s --no-print-directory $(MINISEARCH) || \
		echo 'The site has no search, because npm could not fetch minisearch.' >&2
	@rm -rf $(SITE)
	$(SITE_PYTHON) site/build.py $(SITE) $(BUILD)/schedules $(MINISEARCH)

$(BUILD)/schedules/%.json: %.c $(PROGRAM_PARTS)
	@mkdir -p $(@D)
	@$(EXPLORE_QUIETLY) PROGRAM=$< JSON=$@ >$(@:.json=.said) 2>&1; \
		test -f $@ || { cat $(@:.json=.said) >&2; exit 1; }

$(MINISEARCH):
	@mkdir -p $(@D)
	@cd $(@D) && npm pack --silent minisearch@7.2.0 >/dev/null && tar -xzf minisearch-7.2.0.tgz
	@cp $(@D)/package/dist/umd/index.js $@

site-test: site
	@$(NEED) browser
	@$(MAKE) --no-print-directory site-test-here

site-test-here:
	$(TEST_PYTHON) site/test.py $(SITE)

slides:
	@$(NEED) pandoc python3
	@mkdir -p $(BUILD)
	@python3 site/slides.py $(BUILD)/slides.html && echo 'Slides: $(BUILD)/slides.html, a page each'

player: $(PROGRAM_PARTS)
	@[ -n '$(PROGRAM)' ] || { echo 'Which program?  make player PROGRAM=my.c' >&2; exit 2; }
	@rm -f '$(PLAYER)' '$(BUILD)/player.json'
	@$(NEED) pygments
	@$(EXPLORE_QUIETLY) PROGRAM='$(PROGRAM)' JSON='$(BUILD)/player.json' || test -f '$(BUILD)/player.json'
	@if [ -f '$(BUILD)/player.json' ]; then \
		$(SITE_PYTHON) site/player.py '$(BUILD)/player.json' '$(PLAYER)' && echo 'Player: $(PLAYER)'; \
	else echo 'No schedule that fails was found, so there is nothing to play.'; fi

# Pictures of what programs do: chan_trace.c notes it, sequence.py draws it.
#
#   make trace EXAMPLE=07-workers     build/trace/07-workers.svg, and .json for Perfetto
#   make trace PROGRAM=my.c           the same of a program of your own
#   make trace-pictures               those of the README, anew

TRACE = $(BUILD)/trace
EXAMPLE ?= 07-workers
TRACED = $(if $(PROGRAM),$(PROGRAM),examples/$(EXAMPLE).c)
# A program's with its directories, as each chapter of the course has a wrong.c.
TRACE_NAME = $(if $(PROGRAM),$(subst /,-,$(patsubst /%,%,$(patsubst ./%,%,$(basename $(PROGRAM))))),$(EXAMPLE))
PICTURES = 02-rendezvous 06-select 07-workers

.PHONY: trace trace-pictures

trace:
	@$(NEED) cc python3
	@mkdir -p $(TRACE)
	$(COMPILE) -DCHAN_TRACE $(LDFLAGS) -o $(TRACE)/$(TRACE_NAME) $(TRACED) $(SOURCES) $(LDLIBS)
	CHAN_TRACE=$(TRACE)/$(TRACE_NAME).json $(TRACE)/$(TRACE_NAME)
	python3 extra/sequence.py $(TRACE)/$(TRACE_NAME).json -o $(TRACE)/$(TRACE_NAME).svg --title $(TRACE_NAME)
	@echo 'The picture: $(TRACE)/$(TRACE_NAME).svg'
	@echo 'For https://ui.perfetto.dev or chrome://tracing: $(TRACE)/$(TRACE_NAME).json'

trace-pictures:
	@for example in $(PICTURES); do \
		$(MAKE) --no-print-directory trace EXAMPLE=$$example && cp $(TRACE)/$$example.svg examples/ || exit; done

# examples/counterd: a server, and a program that loads it.
#
#   make counterd-bench [RUNS=5]      requests a second, latency and memory, beside the same server in Go

COUNTERD_OBJECTS = $(patsubst examples/%.c,$(BUILD)/%.o,$(filter-out %/load.c,$(wildcard examples/counterd/*.c)))
RUNS ?= 5

.PHONY: counterd-bench

$(BUILD)/counterd/%.o: examples/counterd/%.c $(BUILD)/flags
	$(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/examples/counterd: $(COUNTERD_OBJECTS) $(BUILD)/libchan.a
	$(COMPILE) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/examples/counterd-load: $(BUILD)/counterd/load.o
	$(COMPILE) $(LDFLAGS) -o $@ $^ $(LDLIBS)

counterd-bench: $(COUNTERD)
	@$(NEED) python3 go
	cd examples/counterd/go && GOFLAGS= GO111MODULE=off go build -o '$(abspath $(BUILD))/examples/counterd-go' .
	python3 examples/counterd/bench.py $(BUILD)/examples $(RUNS)

# The benchmark: a program for each peer that is found here.  make bench-setup installs them all.

COMMAND = $(if $(shell command -v $1 2>/dev/null),$2)
PACKAGE = $(if $(shell pkg-config --exists $1 2>/dev/null && echo yes),$2)
RUST_LIBRARIES = /usr/share/cargo/registry

BENCHES = $(addprefix $(BUILD)/bench/,ours ours-asleep threads runtime limits shards steps $(call COMMAND,go,go go-runtime) \
	$(call COMMAND,rustc,mpsc) $(call COMMAND,cargo,$(if $(wildcard $(RUST_LIBRARIES)/crossbeam-channel-*),crossbeam)) \
	$(call PACKAGE,glib-2.0,glib) $(call PACKAGE,apr-1 apr-util-1,apr))
GLIB = $(shell pkg-config $1 glib-2.0)
APR = $(shell pkg-config $1 apr-1 apr-util-1)

.PHONY: bench bench-broadcast bench-group bench-programs bench-scaling bench-setup bench-steps task-cost

bench: bench-programs
	python3 bench/run.py --build $(BUILD) $(BENCH)

bench-programs: $(BENCHES)

# The peers are in it if they have been built.
bench-scaling: $(BUILD)/bench/ours $(BUILD)/bench/shards
	python3 bench/scaling.py --build $(BUILD) $(BENCH)

bench-steps: $(BUILD)/bench/steps
	$<

bench-group: $(BUILD)/bench/group
	$<

bench-broadcast: $(BUILD)/bench/broadcast
	$<

task-cost: $(BUILD)/bench/task-cost
	$<

bench-setup:
	@$(NEED) cc pkg-config python3 glib apr go rust crossbeam

$(BUILD)/bench/%: bench/%.c $(BUILD)/libchan.a $(BUILD)/flags
	$(COMPILE) -MMD -MP $(LDFLAGS) -o $@ $< $(BUILD)/libchan.a $(LDLIBS)

$(BUILD)/bench/glib: bench/glib.c $(BUILD)/flags
	$(COMPILE) $(call GLIB,--cflags) -MMD -MP $(LDFLAGS) -o $@ $< $(call GLIB,--libs) $(LDLIBS)

$(BUILD)/bench/apr: bench/apr.c $(BUILD)/flags
	$(COMPILE) $(call APR,--cflags) -MMD -MP $(LDFLAGS) -o $@ $< $(call APR,--libs) $(LDLIBS)

# Without spinning: every thread that has to wait sleeps at once.
$(BUILD)/bench/ours-asleep: bench/ours.c bench/bench.h bench/workloads.h $(SOURCES) $(HEADERS) $(BUILD)/flags
	$(COMPILE) -DCHAN_SPIN=0 $(LDFLAGS) -o $@ bench/ours.c $(SOURCES) $(LDLIBS)

# Go and Cargo want a directory of their own.
$(BUILD)/bench/go: bench/peer.go bench/select_cases.py
	@mkdir -p $@-source
	cp bench/peer.go $@-source
	python3 bench/select_cases.py >$@-source/select_cases.go
	cd $@-source && GOFLAGS= go build -o ../go peer.go select_cases.go

# The benchmarks of Go's own runtime, as they come with it.
$(BUILD)/bench/go-runtime:
	go test -c -o $@ runtime

$(BUILD)/bench/mpsc: bench/mpsc.rs bench/workloads.rs
	rustc --edition 2021 -O -o $@ $<

$(BUILD)/bench/crossbeam: bench/crossbeam.rs bench/workloads.rs bench/Cargo.toml
	@mkdir -p $@-source
	cp $^ $@-source
	cd $@-source && cargo build --quiet --release --offline --config 'source.crates-io.replace-with="system"' \
		--config 'source.system.directory="$(RUST_LIBRARIES)"'
	cp $@-source/target/release/crossbeam $@

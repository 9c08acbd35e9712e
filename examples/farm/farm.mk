# The worker pool over ZeroMQ, where libzmq is.

FARM = $(shell pkg-config --exists libzmq 2>/dev/null && echo $(BUILD)/examples/farm)
FARM_OBJECTS = $(patsubst examples/%.c,$(BUILD)/%.o,$(wildcard examples/farm/*.c))

all: $(FARM)

$(FARM_OBJECTS): $(BUILD)/%.o: examples/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) $(shell pkg-config --cflags libzmq) -MMD -MP -c -o $@ $<

$(BUILD)/examples/farm: $(FARM_OBJECTS) $(BUILD)/libchan.a
	$(COMPILE) $(LDFLAGS) -o $@ $^ $(shell pkg-config --libs libzmq) $(LDLIBS)

# Ebb: one Makefile, no configure. `make help` lists what it can do.
#
# VARIANT chooses how it is built (release, debug, asan, tsan, hard); each has a folder of its own.

PREFIX  ?= /usr/local
DESTDIR ?=
VARIANT ?= release
B := $(if $(filter release,$(VARIANT)),build,build/$(VARIANT))

# All processors there are, unless the caller says how many.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

CC ?= gcc
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wpointer-arith \
        -Wwrite-strings -Wundef -Wformat-security -Werror
OPT_release := -O2 -g
OPT_debug   := -O0 -g3
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT_tsan    := -O1 -g -fsanitize=thread
OPT_hard    := -O1 -g -DEBB_HARD

# llhttp comes as a library, or (Debian 12) as sources inside node-llhttp.
ifeq ($(shell pkg-config --exists libllhttp 2>/dev/null && echo yes),yes)
LLHTTP_CFLAGS := $(shell pkg-config --cflags libllhttp)
LLHTTP_LIBS   := $(shell pkg-config --libs libllhttp)
else
LLHTTP_DIR    := /usr/share/llhttp
LLHTTP_CFLAGS := -isystem /usr/share/include/llhttp
LLHTTP_OBJ    := $(patsubst %,$(B)/llhttp/%.o,api http llhttp)
endif

# The page draws its charts with dygraphs, embedded at build time from the system's package.
DYGRAPHS ?= /usr/share/javascript/dygraphs
PAGE_FILES := $(notdir $(wildcard server/admin/page/*)) dygraph.js dygraph.css
PAGE := $(PAGE_FILES:%=$(B)/page/%) $(PAGE_FILES:%=$(B)/page/%.gz)

CFLAGS  ?=
CFLAGS_ALL := -std=c11 -D_GNU_SOURCE $(WARN) $(OPT_$(VARIANT)) $(LLHTTP_CFLAGS) $(CFLAGS)
LDLIBS  := $(LLHTTP_LIBS) -luv -ljansson -lz -lpthread -lm
VERSION  := $(shell sed -n 's/.*define EBB_VERSION *"\(.*\)".*/\1/p' server/service.h)
SONAME   := libebb_alloc.so.0
OBJCOPY  ?= objcopy
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

SRC  := $(wildcard alloc/*.c proto/*.c server/*.c server/*/*.c)
OBJ  := $(SRC:%.c=$(B)/%.o) $(B)/server/admin/assets_data.o $(LLHTTP_OBJ)
CORE := $(filter-out $(B)/server/main.o,$(OBJ))
SUPPORT := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))
TIDE := $(patsubst %.c,$(B)/%.o,$(filter-out bench/tide/main.c,$(wildcard bench/tide/*.c))) \
        $(patsubst %,$(B)/bench/%.o,histogram metrics_text process values) $(B)/bench/tide/builtin_data.o $(B)/bench/tide/report_data.o
# What the programs of bench/speed share.
SPEED_COMMON := $(patsubst %.c,$(B)/%.o,$(wildcard $(patsubst %,bench/%.c,arguments histogram metrics_text proc process usage wire report workload values) \
                $(patsubst %,bench/speed/%.c,drive events load)))
TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/test_*.c))
FORMATTED := $(wildcard alloc/*.[ch] proto/*.[ch] server/*.[ch] server/*/*.[ch] tests/*.[ch] \
             alloc/example/*.c tests/support/*.[ch] tests/fuzz/*.[ch] bench/*.[ch] bench/*/*.[ch])

.DEFAULT_GOAL := build
.PHONY: help run build test unit e2e test-browser tide debug asan tsan hard check format fuzz fuzz-alloc soak bench bench-memory bench-limit bench-hit bench-speed bench-alloc bench-tide compare install deps \
        deps-build deps-test deps-check deps-fuzz clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: deps-build ## install what is missing, build, and serve in the foreground (ARGS="--port 7000")
	@$(MAKE) --silent build
	@exec $(B)/ebb $(ARGS)

build: $(B)/ebb ## build the server (VARIANT=release|debug|asan|tsan|hard)

test: deps-test ## install what is missing and run all tests
	@$(MAKE) --no-print-directory build unit-programs bench-programs
	@$(MAKE) --no-print-directory VARIANT=asan build unit-programs
	@$(MAKE) --no-print-directory VARIANT=hard build unit-programs
	@$(MAKE) --no-print-directory VARIANT=tsan thread-programs
	@tests/run.sh test

unit: unit-programs ## run the unit and model tests of VARIANT (T=name for one)
	@tests/run.sh unit $(B) $(T)

e2e: build tide ## run the end-to-end tests of VARIANT (T=name for one)
	@E2E_BIN=$(B)/ebb tests/run.sh e2e $(B) $(T)

test-clients: deps-test ## node-redis, ioredis and memcached of npm against VARIANT (T=name for one)
	@$(MAKE) --no-print-directory build
	@tests/run.sh clients $(B) $(T)

test-browser: deps-test ## the page in a headless Chromium alone; leaves pictures in build/page-pictures
	@$(MAKE) --no-print-directory build
	@E2E_BIN=$(B)/ebb tests/run.sh e2e $(B) browser

tide: $(B)/tide ## build tide, which load-tests how memory comes back

debug: ## build without optimisation, for a debugger
	@$(MAKE) --no-print-directory VARIANT=debug build

asan: deps-test ## the whole suite under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory VARIANT=asan build unit-programs
	@tests/run.sh suite build/asan

tsan: deps-test ## the whole suite under the thread sanitizer
	@$(MAKE) --no-print-directory VARIANT=tsan build unit-programs
	@tests/run.sh suite build/tsan

hard: deps-test ## the whole suite with tiny constants and everything moved at every legal point
	@$(MAKE) --no-print-directory VARIANT=hard build unit-programs
	@tests/run.sh suite build/hard

check: deps-check ## the rooms' doors, formatting, static analysis
	@tests/check.sh $(FORMATTED)

format: deps-check ## format the sources as `make check` wants them
	clang-format -i $(FORMATTED)

fuzz: deps-fuzz ## fuzz the parsers and the allocator, FOR=60 seconds each
	@tests/fuzz/run.sh $(or $(FOR),60)

fuzz-alloc: deps-fuzz ## fuzz the allocator alone, with its own and with tiny constants, FOR=60 seconds each
	@tests/fuzz/run.sh $(or $(FOR),60) alloc alloc_hard

soak: deps-test deps-fuzz ## what is too long for `make test`: some two hours, FOR=600 seconds each
	@$(MAKE) --no-print-directory bench-programs
	@for variant in release asan tsan hard; do \
	    $(MAKE) --no-print-directory VARIANT=$$variant build unit-programs || exit 1; done
	@tests/soak.sh $(or $(FOR),600)

bench: build bench-programs ## short versions of all benchmarks, in a few minutes
	@bench/run.sh $(B)/ebb

bench-memory: build bench-programs ## W1..W8 on the live server, beside redis-server and memcached
	@$(B)/bench/memory all --binary $(B)/ebb

bench-limit: build bench-programs ## W1..W8 under maxmemory 256mb with slow readers, beside both: resident memory, stalls, errors
	@$(B)/bench/memory limit --written 4 --binary $(B)/ebb

bench-hit: build bench-programs ## misses at equal resident memory, beside redis-server and memcached
	@$(B)/bench/hits --binary $(B)/ebb

bench-speed: build bench-programs ## speed beside the loop's own limit, redis-server and memcached (SWEEP=1, ARGS="--quick")
	@$(B)/bench/race $(if $(SWEEP),sweep) --binary $(B)/ebb $(ARGS)

compare: build tide ## how memory comes back, all scenarios on Ebb, redis-server, memcached: one report (SCALE=0.1 SCENARIOS="w3 scenes")
	@SCALE='$(SCALE)' SCENARIOS='$(SCENARIOS)' SERVERS='$(SERVERS)' bench/tide/compare.sh $(B)/tide $(B)/ebb $(B)/compare

bench-tide: build tide ## whether tide is what holds a server up, beside redis-benchmark
	@bench/tide/speed.py $(B)/tide '$(CURDIR)/$(B)/ebb --port %p --memcached-port 0 --http-port 0 --loglevel warning' \
	    'redis-server --port %p --save ""'

bench-alloc: bench-programs ## W1..W8 and the scenes on the bare allocator, beside other mallocs
	@bench/alloc.sh $(B)/bench/alloc

install: build tide library ## install the server, tide and the allocator's library under PREFIX (default /usr/local)
	install -D -m 755 $(B)/ebb $(DESTDIR)$(PREFIX)/bin/ebb
	install -D -m 644 alloc/ebb_alloc.h $(DESTDIR)$(PREFIX)/include/ebb_alloc.h
	install -D -m 644 $(B)/libebb_alloc.a $(DESTDIR)$(PREFIX)/lib/libebb_alloc.a
	install -D -m 755 $(B)/$(SONAME) $(DESTDIR)$(PREFIX)/lib/$(SONAME)
	install -D -m 755 $(B)/tide $(DESTDIR)$(PREFIX)/bin/tide
	install -D -m 644 bench/tide/tide.1 $(DESTDIR)$(PREFIX)/share/man/man1/tide.1
	ln -sf $(SONAME) $(DESTDIR)$(PREFIX)/lib/libebb_alloc.so
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' alloc/ebb_alloc.pc.in \
	    > $(DESTDIR)$(PREFIX)/lib/pkgconfig/ebb_alloc.pc

deps: deps-build deps-test deps-check ## install what is missing for all of these

deps-build:
	@deploy/deps.sh build
deps-test:
	@deploy/deps.sh build test
deps-check:
	@deploy/deps.sh build check
deps-fuzz:
	@deploy/deps.sh build fuzz

clean: ## remove everything built
	rm -rf build

# ---- how things are built ----

.PHONY: test-clients unit-programs thread-programs bench-programs library
library: $(B)/libebb_alloc.a $(B)/$(SONAME)
unit-programs: $(TESTS)
bench-programs: $(B)/tide $(B)/bench/memory $(B)/bench/alloc $(B)/bench/hits $(B)/bench/limit $(B)/bench/drive $(B)/bench/race
thread-programs: $(filter %_threads,$(TESTS)) $(B)/ebb

$(B)/ebb: $(OBJ)
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/tests/test_%: $(B)/tests/test_%.o $(CORE) $(SUPPORT)
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(B)/tests/test_tide_%: $(B)/tests/test_tide_%.o $(TIDE)
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

$(B)/tide: $(B)/bench/tide/main.o $(TIDE)
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -luv -ljansson -lpthread -lm

$(B)/bench/tide/result.o $(B)/bench/tide/main.o: CFLAGS_ALL += -DTIDE_VERSION='"$(VERSION)"'

$(B)/bench/tide/builtin_data.o: bench/tide/builtin_data.S bench/tide/builtin.def $(wildcard bench/tide/scenarios/*)
	@mkdir -p $(@D)
	@echo "  embed   bench/tide/scenarios"
	@$(CC) -Wa,-I,bench/tide/scenarios -c -o $@ $<

$(B)/tests/test_bench_speed: $(B)/tests/test_bench_speed.o $(B)/bench/speed/framing.o $(B)/bench/speed/spread.o $(SPEED_COMMON)
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -lcmocka -lpthread -lm

$(B)/bench/memory: $(filter-out $(B)/bench/alloc% $(B)/bench/bed.o $(B)/bench/hits.o,$(patsubst %.c,$(B)/%.o,$(wildcard bench/*.c)))
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -lpthread -lm

$(B)/bench/hits: $(patsubst %,$(B)/bench/%.o,hits metrics_text proc process usage wire report workload values)
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -lpthread -lm

$(B)/bench/alloc: $(patsubst %,$(B)/bench/%.o,alloc alloc_scenes bed report process usage workload values) \
                  $(patsubst %.c,$(B)/%.o,$(wildcard alloc/*.c))
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -lpthread -lm

$(B)/bench/drive: $(B)/bench/speed/driver.o $(SPEED_COMMON)
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -lpthread -lm

$(B)/bench/race: $(patsubst %,$(B)/bench/speed/%.o,race plan spread reach ring courses stalls crowd workers scrapes) $(B)/bench/cores.o $(B)/bench/probe.o $(SPEED_COMMON)
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -lpthread -lm

$(B)/bench/limit: $(B)/bench/speed/limit.o $(B)/bench/speed/framing.o $(filter $(B)/bench/workload.o $(B)/bench/values.o,$(SPEED_COMMON))
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -o $@ $^ -luv

# The allocator alone. Only what its public header declares is seen from outside, in both forms.
$(B)/pic/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  compile $< (library)"
	@$(CC) $(CFLAGS_ALL) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

$(B)/libebb_alloc.o: $(patsubst %.c,$(B)/pic/%.o,$(wildcard alloc/*.c))
	@$(LD) -r -o $@ $^
	@$(OBJCOPY) --localize-hidden $@

$(B)/libebb_alloc.a: $(B)/libebb_alloc.o
	@echo "  archive $@"
	@$(AR) rcs $@ $^

$(B)/$(SONAME): $(B)/libebb_alloc.o
	@echo "  link    $@"
	@$(CC) $(CFLAGS_ALL) $(LDFLAGS) -shared -Wl,-soname,$(SONAME) -o $@ $^ -lpthread

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  compile $<"
	@$(CC) $(CFLAGS_ALL) -MMD -MP -DEBB_REVISION='"$(REVISION)"' -c -o $@ $<

$(B)/server/admin/assets_data.o: server/admin/assets_data.S server/admin/assets.def $(PAGE)
	@mkdir -p $(@D)
	@echo "  embed   $(PAGE_FILES)"
	@$(CC) -Wa,-I,$(B)/page -c -o $@ $<

$(B)/bench/tide/report_data.o: bench/tide/report_data.S bench/tide/page.sh $(wildcard bench/tide/page/*) \
                                $(B)/page/dygraph.js $(B)/page/dygraph.css $(B)/page/format.js
	@mkdir -p $(@D)
	@echo "  embed   bench/tide/page"
	@bench/tide/page.sh $(B)/tide-page $(B)/page/dygraph.js $(B)/page/dygraph.css $(B)/page/format.js
	@$(CC) -Wa,-I,$(B)/tide-page -c -o $@ $<

$(B)/page/%: server/admin/page/%
	@mkdir -p $(@D)
	@cp $< $@

$(B)/page/dygraph.%: $(DYGRAPHS)/dygraph.min.%
	@mkdir -p $(@D)
	@grep -v '^//# sourceMappingURL=' $< >$@

$(B)/page/%.gz: $(B)/page/%
	@gzip -9nc $< >$@

$(DYGRAPHS)/dygraph.min.%:
	@echo "$@ is missing: install libjs-dygraphs (make deps), or say where dygraphs is: DYGRAPHS=folder" >&2
	@false

$(B)/llhttp/%.o: $(LLHTTP_DIR)/%.c
	@mkdir -p $(@D)
	@echo "  compile $<"
	@$(CC) -O2 -g $(LLHTTP_CFLAGS) $(filter -fsanitize%,$(OPT_$(VARIANT))) -c -o $@ $<

.SECONDARY:
-include $(shell find $(B) -name '*.d' 2>/dev/null)

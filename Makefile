# `make servers` unpacks private MySQL and MariaDB servers under target/servers (scripts/servers).
# Everything that needs one makes sure of it first.

CARGO ?= cargo
# Which server the demo runs: mysql, mariadb or mariadb11.
SERVER ?= mysql
# A server that already runs, for the demo: URL=mysql://user:password@host:port/database
URL ?=
# More arguments, for the example or for the tests.
ARGS ?=

# Of fuzz-parsers: one of fuzz/fuzz_targets, for how long, and where its growing corpus is kept.
TARGET ?= alter
SECONDS ?= 600
FOUND ?= target/fuzz-parsers/$(TARGET)

.PHONY: help servers demo test soak soak-postponed kills fuzz fuzz-parsers bench bench-alter

help:
	@echo "make servers              unpack private servers under target/servers"
	@echo "make demo [SERVER=mysql|mariadb|mariadb11] [ARGS=...]   alter a table under load"
	@echo "make demo URL=mysql://... [ARGS=...]                    the same, on a server of yours"
	@echo "make test [ARGS=...]      all tests, on all three servers"
	@echo "make soak [SOAK_MINUTES=30] [SOAK_SEED=1]   alters without end while things go wrong, judged by a journal"
	@echo "make soak-postponed [SOAK_MINUTES=20]   a run that waits for long stays as small as it was"
	@echo "make kills [KILL_ROUNDS=20] [KILL_RANDOM=300] [KILL_SEED=1]   the program, killed at each point and at random, and resumed"
	@echo "make fuzz [CASES=n] [SEED=n] [SERVER=mysql|mariadb|mariadb11]   random ALTERs against the server's own"
	@echo "make fuzz-parsers [TARGET=alter|checkpoint|events|positions|quoting] [SECONDS=n]   any bytes for what reads them (cargo-fuzz)"
	@echo "make bench                criterion: copying, comparing, finding boundaries, the cut-over, reading events"
	@echo "make bench-alter [ARGS=...]   beside the server's own ALTER and a plain chunk loop: docs/bench-alter.svg"

servers:
	@scripts/servers

ifeq ($(strip $(URL)),)
demo:
	@scripts/servers $(SERVER)
	$(CARGO) run --release --example csm_alter -- --server $(SERVER) $(ARGS)
else
# Not on a command line, which everybody on the machine can see.
demo: export ONLINE_ALTER_URL = $(URL)
demo:
	@$(CARGO) run --release --example csm_alter -- $(ARGS)
endif

# Tests that need a server which cannot be had say so and pass; where CI is set, that is a failure.
test:
	@scripts/servers || [ -z "$$CI" ]
	$(CARGO) test --workspace --features online-alter/http,online-alter/rustls $(ARGS)

# On both kinds of servers at once; docs/RELIABILITY.md has figures. Few arenas, so that the memory shown is what is used.
soak: export SOAK_MINUTES ?= 30
soak: export SOAK_SEED ?= 1
soak: export MALLOC_ARENA_MAX ?= 2
soak: servers
	$(CARGO) test --features http,rustls --test soak -- --ignored --nocapture --exact soak $(ARGS)

# A run that waits, with fifty times as many heartbeats as usual: does it stay as small as it was?
soak-postponed: export SOAK_MINUTES ?= 20
soak-postponed: export MALLOC_ARENA_MAX ?= 2
soak-postponed: servers
	$(CARGO) build --features http,rustls --example alter
	$(CARGO) test --features http,rustls --test soak -- --ignored --nocapture postponed $(ARGS)

# The host program, killed at each named point and at random times, and resumed: on two cores about 45 minutes.
kills: export KILL_ROUNDS ?= 20
kills: export KILL_RANDOM ?= 300
kills: export STUCK_MINUTES ?= 120
kills: servers
	$(CARGO) test --features http,rustls --test it -- kills::at_ --nocapture $(ARGS)

# As many random cases as wanted; each one is the same at every time, so SEED=n CASES=1 runs one again.
fuzz: export CASES ?= 5000
fuzz: export SEED ?= 1
fuzz:
	@scripts/servers $(SERVER)
	$(CARGO) test --test differential $(SERVER) -- --exact --include-ignored --nocapture

# cargo install cargo-fuzz --locked; and a nightly toolchain. What breaks something is written to fuzz/artifacts.
fuzz-parsers:
	@mkdir -p $(FOUND)
	$(CARGO) +nightly fuzz run $(TARGET) $(FOUND) fuzz/corpus/$(TARGET) -- -max_total_time=$(SECONDS) -max_len=600 \
		-timeout=10 -print_final_stats=1 $(if $(wildcard fuzz/dictionaries/$(TARGET)),-dict=fuzz/dictionaries/$(TARGET)) $(ARGS)

bench: servers
	$(CARGO) bench --bench copy --bench refresh --bench verify --bench boundary --bench cutover --bench events $(ARGS)

# An hour or two on a quiet machine, with 1,000,000 rows; ARGS="--rows 20000 --runs 1" for a try.
bench-alter: servers
	$(CARGO) bench --bench alter -- $(ARGS)

# SPDX-License-Identifier: Apache-2.0
# bench-log-open: measures how long it takes to open a write log that is full, and a huge empty one.

$(B)/tests/bench/log_open_bench: $(B)/obj/tests/bench/log_open_bench.o $(call archives_upto,write_log)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(libs)

.PHONY: bench-log-open
bench-log-open: $(B)/tests/bench/log_open_bench
	@echo "1 GiB, changes of 64 KiB:"; $< $(or $(DIR),/tmp) 1030 950 64
	@echo "1 GiB, changes of 4 KiB:"; $< $(or $(DIR),/tmp) 1030 800 4
	@echo "8 GiB, empty:"; $< $(or $(DIR),/tmp) 8192 1 64
	@echo "1 TiB, empty, sparse:"; $< $(or $(DIR),/tmp) 1048576 1 64 sparse

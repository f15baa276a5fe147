# SPDX-License-Identifier: Apache-2.0
# bench-growth: measures the cost of a fence and of a timer with 1 to 10,000 others in flight.

$(B)/tests/bench/growth_bench: $(B)/obj/tests/bench/growth_bench.o $(call archives_upto,volume)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(libs)

.PHONY: bench-growth
bench-growth: $(B)/tests/bench/growth_bench
	@$<

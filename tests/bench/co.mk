# SPDX-License-Identifier: Apache-2.0
# bench-co: measures the cost of the scheduler itself.

$(B)/tests/bench/co_bench: $(B)/obj/tests/bench/co_bench.o $(call archives_upto,co)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(libs)

.PHONY: bench-co
bench-co: $(B)/tests/bench/co_bench
	@tests/bench/co_bench.sh $<

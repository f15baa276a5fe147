# SPDX-License-Identifier: Apache-2.0
# bench-co: what the scheduler itself costs.

$(B)/tests/bench/co_bench: $(B)/obj/tests/bench/co_bench.o $(call archives_upto,co)
	@mkdir -p $(@D)
	@echo "  LINK  $@"
	@$(CXX) $(LDFLAGS_$(VARIANT)) -pthread -o $@ $^ $(libs)

.PHONY: bench-co
bench-co: $(B)/tests/bench/co_bench
	@tests/bench/co_bench.sh $<

# SPDX-License-Identifier: Apache-2.0
# check-abi: compares handler/tcmur_abi.h with the headers of tcmu-runner (Debian's, and what was
# noted of the newest one upstream) and of the kernel.

$(B)/abi/ours: $(B)/obj/tests/abi/ours.o
	@mkdir -p $(@D)
	@$(CXX) $(LDFLAGS_$(VARIANT)) -o $@ $^

.PHONY: check-abi build-abi
build-abi: $(B)/abi/ours
check-abi: $(B)/abi/ours
	@ABI_DIRECTORY=$(B)/abi ci/run-tests abi tests/abi/abi_ring_test tests/abi/abi_runner_test \
	  tests/abi/abi_upstream_test

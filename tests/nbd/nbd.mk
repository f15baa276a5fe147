# SPDX-License-Identifier: Apache-2.0
# check-nbd: the built plugin on LUNs that real NBD servers keep (nbdkit, qemu-nbd), over the ring.
# BALLAST_LONG=1 makes its loads and freezes ten times as long.

nbd_tests := lun_test trouble_test
$(foreach p,$(nbd_tests),$(eval $(call host_program,nbd/$(p))))

.PHONY: check-nbd build-nbd
build-nbd: $(plugin) $(nbd_tests:%=$(B)/tests/nbd/%)
check-nbd: build-nbd
	@BALLAST_PLUGIN=$(plugin) ci/run-tests nbd-$(VARIANT) $(nbd_tests:%=$(B)/tests/nbd/%)

# SPDX-License-Identifier: Apache-2.0
# check-rbd: images in a real Ceph, which each test starts for itself (tests/rbd/cluster).
# check-rbd-long: a pool at its quota, many more takeovers, and three OSDs of which one fails.

rbd_tests := rbd_test rights_test takeover_test gateway_test osds_test quota_test
$(foreach p,$(rbd_tests),$(eval $(call host_program,rbd/$(p))))
$(rbd_tests:%=$(B)/tests/rbd/%): $(patsubst %,$(B)/obj/tests/rbd/%.o,process luns blocks gateways)

.PHONY: build-rbd check-rbd check-rbd-long
build-rbd: $(plugin) $(B)/ballastctl $(rbd_tests:%=$(B)/tests/rbd/%) $(B)/tests/unit/backend/contract_test
check-rbd: build-rbd
	@BALLAST_PLUGIN=$(plugin) tests/rbd/cluster $(B)/tests/unit/backend/contract_test
	@BALLAST_PLUGIN=$(plugin) BALLASTCTL=$(B)/ballastctl tests/rbd/cluster $(B)/tests/rbd/rbd_test
	@BALLAST_PLUGIN=$(plugin) tests/rbd/cluster $(B)/tests/rbd/rights_test
	@BALLAST_PLUGIN=$(plugin) TAKEOVERS=20 tests/rbd/cluster $(B)/tests/rbd/takeover_test
	@BALLAST_PLUGIN=$(plugin) TAKEOVERS=6 tests/rbd/cluster $(B)/tests/rbd/gateway_test
check-rbd-long: build-rbd
	@BALLAST_PLUGIN=$(plugin) BALLAST_CEPH_MGR=yes tests/rbd/cluster $(B)/tests/rbd/quota_test
	@BALLAST_PLUGIN=$(plugin) TAKEOVERS=1000 tests/rbd/cluster $(B)/tests/rbd/takeover_test
	@BALLAST_PLUGIN=$(plugin) TAKEOVERS=500 tests/rbd/cluster $(B)/tests/rbd/gateway_test
	@BALLAST_PLUGIN=$(plugin) TAKEOVERS=50 tests/rbd/cluster 3 $(B)/tests/rbd/takeover_test
	@BALLAST_PLUGIN=$(plugin) BALLAST_CEPH_ADDRESS=10.79.0.1/24 BALLAST_CEPH_NETNS=ceph tests/rbd/cluster 3 \
	  $(B)/tests/rbd/osds_test

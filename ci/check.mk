# SPDX-License-Identifier: Apache-2.0
# make check: all tests, one step after the other. Behind the steps, with the processor time that
# they leave, other jobs build the variants that later steps need, and lint reads the sources.

# step NAME,NEEDS,TITLE,COMMAND: a step. It runs after the step before it and after NEEDS are built.
define step
.PHONY: step-$(1)
step-$(1): $(last_step) $(2)
	@ci/step "$(3)" $(4)
last_step := step-$(1)
endef
# behind NAME,AFTER,TITLE,COMMAND: a job that runs behind the steps. Its output is shown if it
# fails.
define behind
.PHONY: $(1)
$(1): $(2)
	@nice -n 19 ci/step --log $(BUILD)/$(1).log "$(3)" $(4)
endef
, := ,
last_step :=
# This is expanded only in the recipe. So make sees that the command is a make, and lets it share
# the cores with the others.
part = $$(MAKE) --no-print-directory

# TSan looks at threads. The code of the other rooms starts none, and runs on one in these tests;
# the ring's tests run it on several. make check-long runs the tests of all rooms.
tsan := VARIANT=tsan UNIT_ROOMS='$(filter-out write_log volume scsi,$(rooms))'

.PHONY: built
built:
	@ci/step "build" $(MAKE) --no-print-directory all build-unit build-guard build-compiler build-abi build-ring build-core build-nbd \
	  build-rbd build-sim build-control build-ballastctl $(B)/tests/ring/bench
$(eval $(call behind,built-asan,built,build for ASan and UBSan,$(part) VARIANT=asan build-unit build-handler build-ring build-sim build-fuzz))
$(eval $(call behind,built-tsan,built-asan,build for TSan,$(part) $(tsan) build-unit build-ring))
# Four steps of lint are left out. The sanitizer builds use clang with the warnings of the step
# `warnings`, as errors. cppcheck, dead and headers take minutes, and run in make check-long.
$(eval $(call behind,linted,built-tsan,lint,ci/lint format coroutines text opcodes keys mutants shell manuals deps))

$(eval $(call step,unit,built,unit tests,$(part) unit))
$(eval $(call step,guard,,scheduler without its guard must fail,$(part) check-guard))
$(eval $(call step,compiler,,compiler canaries,$(part) check-compiler))
$(eval $(call step,abi,,ABI against the daemon's own headers,$(part) check-abi))
$(eval $(call step,ring,,plugin over a shared-memory ring,$(part) check-ring))
$(eval $(call step,nbd,,LUNs on real NBD servers,$(part) check-nbd))
$(eval $(call step,rbd,,images in a real Ceph,$(part) check-rbd))
$(eval $(call step,core,,core files of frozen LUNs,$(part) check-core))
$(eval $(call step,instructions,,instructions for a command,$(part) check-instructions))
$(eval $(call step,sim,,simulation,$(part) check-sim))
$(eval $(call step,control,,D-Bus object and ballastctl on a bus of their own,$(part) check-control))
$(eval $(call step,ballastctl,,doctor$(,) tune and watch on made-up machines,$(part) check-ballastctl))
$(eval $(call step,unit-asan,built-asan,unit tests under ASan and UBSan,$(part) VARIANT=asan unit))
$(eval $(call step,handler,,parts of the plugin that read foreign memory$(,) ASan,$(part) VARIANT=asan check-handler))
$(eval $(call step,ring-asan,,plugin over a shared-memory ring$(,) ASan,$(part) VARIANT=asan check-ring))
$(eval $(call step,sim-asan,,simulation$(,) ASan,$(part) VARIANT=asan SIM_SECONDS=10 check-sim))
$(eval $(call step,fuzz,,fuzz,$(part) VARIANT=asan FUZZ_SECONDS=20 $$(fuzz_targets)))
# Packing the debug symbols takes a minute, and tests nothing.
$(eval $(call step,packages,,Debian packages,env DEB_BUILD_OPTIONS=noautodbgsym ci/deb))
# This is not the last step, so that the TSan build can run while tests in the guest wait for a
# freeze to end.
$(eval $(call step,e2e,,end to end in the guest,ci/e2e))
$(eval $(call step,unit-tsan,built-tsan,unit tests under TSan,$(part) $(tsan) unit))
$(eval $(call step,ring-tsan,,plugin over a shared-memory ring$(,) TSan,$(part) $(tsan) check-ring))

.PHONY: check check-steps
check-steps: $(last_step) linted
check: deps-build deps-check deps-lab deps-deb
	@ci/step --begin
	@$(MAKE) --no-print-directory -j$$(($(jobs) + 1)) check-steps
	@ci/step --summary

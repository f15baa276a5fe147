// SPDX-License-Identifier: Apache-2.0
// Whose image it is: which owners are robbed, in which order, and which are left alone.
#include "lib/backend/rbd_ownership.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;
using Step = RbdOwnership::Step;

namespace {

constexpr const char* address = "10.0.0.1:0/77";

OwnerRecord self() {
  return {"machine", "boot", "pid:[1]", 100, 5000, ""};
}

OwnerRecord predecessor() {
  return {"machine", "boot", "pid:[1]", 90, 4000, address};
}

RbdOwnership ownership() {
  return {"rbd=p/i", self()};
}

// Looks at an owner of whom `facts` are known.
RbdOwnership facing(const OwnerFacts& facts) {
  RbdOwnership machine = ownership();
  machine.owner_is(address);
  assert_true(machine.step() == Step::look);
  machine.found(facts);
  return machine;
}

void expect_busy(const RbdOwnership& machine, const char* words) {
  assert_true(machine.step() == Step::refused);
  assert_int_equal(machine.error().errno_value, EBUSY);
  if (std::strstr(machine.error().message.c_str(), words) == nullptr) {
    print_error("%s\n", machine.error().message.c_str());
    assert_true(false);
  }
}

void a_free_image_is_taken(void**) {
  RbdOwnership machine = ownership();
  assert_true(machine.step() == Step::list);
  machine.owner_is("");
  machine.found({});
  assert_true(machine.step() == Step::acquire);
  machine.did(0);
  assert_true(machine.step() == Step::record);
  machine.did(0);
  assert_true(machine.step() == Step::owner);
}

// Another kind of client has broken the owner's lock, and given it back.
void an_owner_that_did_not_leave_in_order_is_fenced_even_if_the_lock_is_free(void**) {
  RbdOwnership machine = ownership();
  machine.owner_is("");
  machine.found({.record = predecessor(), .watches = false, .runs = true});
  assert_true(machine.step() == Step::fence);
  assert_string_equal(machine.other().c_str(), address);
  machine.did(0);
  assert_true(machine.step() == Step::acquire);
}

void a_dead_predecessor_is_fenced_before_its_lock_is_broken(void**) {
  RbdOwnership machine = facing({.record = predecessor(), .watches = true, .runs = false});
  assert_true(machine.step() == Step::fence);
  assert_string_equal(machine.other().c_str(), address);
  machine.did(0);
  assert_true(machine.step() == Step::break_);
  machine.did(0);
  assert_true(machine.step() == Step::acquire);
}

void an_owner_that_cannot_be_fenced_keeps_its_lock(void**) {
  RbdOwnership machine = facing({.record = predecessor()});
  machine.did(-EACCES);
  assert_true(machine.step() == Step::refused);
  assert_int_equal(machine.error().errno_value, EACCES);
  assert_non_null(std::strstr(machine.error().message.c_str(), "profile rbd"));
}

void a_predecessor_that_runs_is_left_alone(void**) {
  expect_busy(facing({.record = predecessor(), .watches = false, .runs = true}),
              "process 90 of this machine");
}

void another_lun_of_this_process_is_left_alone(void**) {
  OwnerRecord record = self();
  record.address = address;
  expect_busy(facing({.record = record, .watches = true, .runs = true}),
              "another LUN of this daemon");
}

// That no such process runs here says nothing of the owner in these cases.
void an_owner_that_watches_is_left_alone(void**) {
  OwnerRecord elsewhere = predecessor();
  elsewhere.boot = "another";
  elsewhere.machine = "gw2";
  expect_busy(facing({.record = elsewhere, .watches = true}), "machine \"gw2\"");
  OwnerRecord container = predecessor();
  container.pid_namespace = "pid:[2]";
  expect_busy(facing({.record = container, .watches = true}), "process 90");
  OwnerRecord earlier = predecessor();
  earlier.address = "10.0.0.1:0/76";
  expect_busy(facing({.record = earlier, .watches = true}), "no LUN of Ballast");
  expect_busy(facing({.record = std::nullopt, .watches = true}), "no LUN of Ballast");
}

void an_owner_that_the_cluster_does_not_hear_is_fenced(void**) {
  OwnerRecord elsewhere = predecessor();
  elsewhere.boot = "another";
  assert_true(facing({.record = elsewhere}).step() == Step::fence);
  assert_true(facing({.record = std::nullopt}).step() == Step::fence);
}

void without_a_boot_id_no_record_counts(void**) {
  OwnerRecord nameless = self();
  nameless.boot.clear();
  RbdOwnership machine{"rbd=p/i", nameless};
  OwnerRecord record = predecessor();
  record.boot.clear();
  machine.owner_is(address);
  machine.found({.record = record, .watches = true, .runs = false});
  assert_true(machine.step() == Step::refused);
}

void a_lock_that_is_gone_meanwhile_is_as_good_as_broken(void**) {
  RbdOwnership machine = facing({.record = predecessor()});
  machine.did(0);
  machine.did(-ENOENT);
  assert_true(machine.step() == Step::acquire);
}

void a_faster_client_is_looked_at_a_few_times(void**) {
  RbdOwnership machine = ownership();
  for (unsigned round = 1; round < RbdOwnership::most_rounds; ++round) {
    machine.owner_is("");
    machine.found({});
    machine.did(-EROFS);
    assert_true(machine.step() == Step::list);
  }
  machine.owner_is("");
  machine.found({});
  machine.did(-EROFS);
  assert_true(machine.step() == Step::refused);
}

void an_image_without_the_feature_is_refused(void**) {
  RbdOwnership unlisted = ownership();
  unlisted.did(-EINVAL);
  assert_non_null(std::strstr(unlisted.error().message.c_str(), "lock=none"));
  RbdOwnership machine = ownership();
  machine.owner_is("");
  machine.found({});
  machine.did(-EINVAL);
  assert_true(machine.step() == Step::refused);
  assert_non_null(std::strstr(machine.error().message.c_str(), "lock=none"));
}

void an_owner_that_cannot_write_its_record_is_none(void**) {
  RbdOwnership machine = ownership();
  machine.owner_is("");
  machine.found({});
  machine.did(0);
  machine.did(-ESHUTDOWN);
  assert_true(machine.step() == Step::refused);
  assert_int_equal(machine.error().errno_value, ESHUTDOWN);
}

void an_owner_that_runs_is_robbed_only_if_somebody_says_so(void**) {
  RbdOwnership machine{"rbd=p/i", self(), RbdOwnership::Manner::robs};
  machine.owner_is(address);
  machine.found({.record = predecessor(), .watches = true, .runs = true});
  assert_true(machine.step() == Step::fence && machine.robs());
  assert_string_equal(machine.other().c_str(), address);
  machine.did(0);
  assert_true(machine.step() == Step::break_);
  machine.did(0);
  assert_true(machine.step() == Step::acquire);
}

void an_owner_that_is_gone_is_not_robbed(void**) {
  RbdOwnership machine{"rbd=p/i", self(), RbdOwnership::Manner::robs};
  machine.owner_is(address);
  machine.found({.record = predecessor(), .watches = true, .runs = false});
  assert_true(machine.step() == Step::fence && !machine.robs());
}

void a_record_is_read_as_it_was_written(void**) {
  assert_true(parse_owner_record(to_string(predecessor())) == predecessor());
  OwnerRecord container = predecessor();
  container.machine.clear();
  assert_true(parse_owner_record(to_string(container)) == container);
  OwnerRecord gateway = predecessor();
  gateway.group = 2;
  assert_true(parse_owner_record(to_string(gateway)) == gateway);
  assert_int_equal(parse_owner_record(to_string(gateway) + "00000")->group, 0);
}

void other_texts_are_no_records(void**) {
  const std::string good = to_string(predecessor());
  for (std::size_t cut = 0; cut < good.find("address"); ++cut) {
    assert_false(parse_owner_record(good.substr(0, cut)).has_value());
  }
  assert_false(
      parse_owner_record("machine=a boot=b pid_namespace=c pid=x start=1 address=d").has_value());
  assert_false(
      parse_owner_record("machine=a boot=b pid_namespace=c pid=-1 start=1 address=d").has_value());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_free_image_is_taken),
      cmocka_unit_test(an_owner_that_did_not_leave_in_order_is_fenced_even_if_the_lock_is_free),
      cmocka_unit_test(a_dead_predecessor_is_fenced_before_its_lock_is_broken),
      cmocka_unit_test(an_owner_that_cannot_be_fenced_keeps_its_lock),
      cmocka_unit_test(a_predecessor_that_runs_is_left_alone),
      cmocka_unit_test(another_lun_of_this_process_is_left_alone),
      cmocka_unit_test(an_owner_that_watches_is_left_alone),
      cmocka_unit_test(an_owner_that_the_cluster_does_not_hear_is_fenced),
      cmocka_unit_test(without_a_boot_id_no_record_counts),
      cmocka_unit_test(a_lock_that_is_gone_meanwhile_is_as_good_as_broken),
      cmocka_unit_test(a_faster_client_is_looked_at_a_few_times),
      cmocka_unit_test(an_image_without_the_feature_is_refused),
      cmocka_unit_test(an_owner_that_cannot_write_its_record_is_none),
      cmocka_unit_test(an_owner_that_runs_is_robbed_only_if_somebody_says_so),
      cmocka_unit_test(an_owner_that_is_gone_is_not_robbed),
      cmocka_unit_test(a_record_is_read_as_it_was_written),
      cmocka_unit_test(other_texts_are_no_records),
  };
  return cmocka_run_group_tests_name("rbd_ownership", tests, nullptr, nullptr);
}

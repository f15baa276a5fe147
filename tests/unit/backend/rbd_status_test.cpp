// SPDX-License-Identifier: Apache-2.0
// What librbd's errors mean for an initiator.
#include "lib/backend/rbd_status.h"

#include <cerrno>

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::backend;

namespace {

IoStatus write_status(int result, RbdLock lock = RbdLock::exclusive) {
  return rbd_status(OpKind::write, lock, result);
}

void each_error_has_its_meaning(void**) {
  assert_true(write_status(0) == IoStatus::ok);
  assert_true(write_status(-ENOSPC) == IoStatus::no_space);
  assert_true(write_status(-EDQUOT) == IoStatus::no_space);
  assert_true(write_status(-EINVAL) == IoStatus::out_of_range);
  assert_true(write_status(-EPERM) == IoStatus::write_protected);
  assert_true(write_status(-ETIMEDOUT) == IoStatus::medium_error);
  assert_true(write_status(-EIO) == IoStatus::medium_error);
}

void a_client_that_is_fenced_is_not_ready(void**) {
  assert_true(says_fenced(RbdLock::none, -ESHUTDOWN));
  assert_true(write_status(-ESHUTDOWN) == IoStatus::not_ready);
  assert_true(rbd_status(OpKind::read, RbdLock::none, -ESHUTDOWN) == IoStatus::not_ready);
}

void a_lock_that_is_gone_counts_where_one_was_held(void**) {
  assert_true(says_fenced(RbdLock::exclusive, -EROFS));
  assert_true(says_fenced(RbdLock::standby, -EROFS));
  assert_false(says_fenced(RbdLock::none, -EROFS));
  assert_true(write_status(-EROFS, RbdLock::none) == IoStatus::write_protected);
}

void every_errno_is_legal_for_every_operation(void**) {
  for (int errno_value = 0; errno_value < 200; ++errno_value) {
    for (const OpKind kind : {OpKind::read, OpKind::write, OpKind::zero, OpKind::discard,
                              OpKind::flush, OpKind::block_status, OpKind::resize}) {
      assert_true(may_end_with(kind, rbd_status(kind, RbdLock::exclusive, -errno_value)));
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_error_has_its_meaning),
      cmocka_unit_test(a_client_that_is_fenced_is_not_ready),
      cmocka_unit_test(a_lock_that_is_gone_counts_where_one_was_held),
      cmocka_unit_test(every_errno_is_legal_for_every_operation),
  };
  return cmocka_run_group_tests_name("rbd_status", tests, nullptr, nullptr);
}

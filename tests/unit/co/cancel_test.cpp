// SPDX-License-Identifier: Apache-2.0
#include "lib/co/cancel.h"

#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
};

void an_empty_token_is_never_requested(void**) {
  const co::CancelToken token;
  assert_false(static_cast<bool>(token));
  assert_false(token.requested());
}

void a_request_shows_in_every_token(void**) {
  co::CancelSource source;
  const co::CancelToken before = source.token();
  assert_false(before.requested());
  source.request();
  assert_true(before.requested());
  assert_true(source.token().requested());
}

void a_request_wakes_who_registered_with_his_value(void**) {
  Fixture f;
  co::CancelSource source;
  const co::Wait wait{f.executor, "anything"};
  co::CancelLink link;
  link.arm(source.token(), wait.waker(), 5);
  assert_true(wait.waker().pending());
  source.request();
  assert_false(wait.waker().pending());
  source.request();
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

void registering_after_the_request_wakes_at_once(void**) {
  Fixture f;
  co::CancelSource source;
  source.request();
  const co::Wait wait{f.executor, "anything"};
  co::CancelLink link;
  link.arm(source.token(), wait.waker());
  assert_false(wait.waker().pending());
}

void who_left_is_not_woken(void**) {
  Fixture f;
  co::CancelSource source;
  const co::Wait wait{f.executor, "anything"};
  {
    co::CancelLink link;
    link.arm(source.token(), wait.waker());
  }
  source.request();
  assert_true(wait.waker().pending());
}

void a_wait_that_is_over_is_not_woken_again(void**) {
  Fixture f;
  co::CancelSource source;
  const co::Wait wait{f.executor, "anything"};
  co::CancelLink link;
  link.arm(source.token(), wait.waker());
  (void)wait.waker().wake();
  source.request();
  assert_int_equal(f.executor.stats().refused_wakes, 0);
}

void a_source_that_goes_while_registered_with_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    co::CancelLink link;
    const co::Wait wait{f.executor, "anything"};
    co::CancelSource source;
    link.arm(source.token(), wait.waker());
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(an_empty_token_is_never_requested),
      cmocka_unit_test(a_request_shows_in_every_token),
      cmocka_unit_test(a_request_wakes_who_registered_with_his_value),
      cmocka_unit_test(registering_after_the_request_wakes_at_once),
      cmocka_unit_test(who_left_is_not_woken),
      cmocka_unit_test(a_wait_that_is_over_is_not_woken_again),
      cmocka_unit_test(a_source_that_goes_while_registered_with_asserts),
  };
  return cmocka_run_group_tests_name("cancel", tests, nullptr, nullptr);
}

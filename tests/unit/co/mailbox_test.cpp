// SPDX-License-Identifier: Apache-2.0
#include "lib/co/mailbox.h"

#include <poll.h>

#include <array>
#include <thread>
#include <vector>

#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

co::Message number(std::int64_t value) {
  return co::Message{.run = [](void*, std::int64_t) {},
                     .context = nullptr,
                     .value = value,
                     .waker = {},
                     .site = {}};
}

bool readable(int fd, int timeout_ms) {
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll_fd, 1, timeout_ms) == 1;
}

void messages_come_out_in_the_order_they_went_in(void**) {
  co::Mailbox mailbox;
  for (std::int64_t i = 0; i < 10; ++i) {
    mailbox.push(number(i));
  }
  co::Message message;
  for (std::int64_t i = 0; i < 10; ++i) {
    assert_true(mailbox.pop(message));
    assert_int_equal(message.value, i);
  }
  assert_false(mailbox.pop(message));
}

void it_holds_what_it_says_round_after_round(void**) {
  co::Mailbox mailbox;
  co::Message message;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < co::Mailbox::capacity; ++i) {
      mailbox.push(number(static_cast<std::int64_t>(i)));
    }
    for (std::size_t i = 0; i < co::Mailbox::capacity; ++i) {
      assert_true(mailbox.pop(message));
    }
    assert_true(mailbox.empty());
  }
  assert_int_equal(mailbox.full_waits(), 0);
}

void nobody_is_kicked_while_the_consumer_is_awake(void**) {
  co::Mailbox mailbox;
  mailbox.push(number(1));
  assert_false(readable(mailbox.fd(), 0));
}

void one_kick_a_sleep(void**) {
  co::Mailbox mailbox;
  assert_true(mailbox.prepare_sleep());
  mailbox.push(number(1));
  assert_true(readable(mailbox.fd(), 0));
  mailbox.wake_up();
  assert_false(readable(mailbox.fd(), 0));
  mailbox.push(number(2));
  assert_false(readable(mailbox.fd(), 0));
}

void the_consumer_may_not_sleep_on_a_message(void**) {
  co::Mailbox mailbox;
  mailbox.push(number(1));
  assert_false(mailbox.prepare_sleep());
}

void kick_makes_the_descriptor_readable(void**) {
  co::Mailbox mailbox;
  mailbox.kick();
  assert_true(readable(mailbox.fd(), 0));
}

// The producers outrun the queue; the consumer sleeps whenever it finds nothing.
void four_producers_lose_nothing_and_keep_their_order(void**) {
  constexpr int producers = 4;
  constexpr std::int64_t messages = 20'000;
  co::Mailbox mailbox;
  std::vector<std::thread> threads;
  for (std::int64_t producer = 0; producer < producers; ++producer) {
    threads.emplace_back([&mailbox, producer] {
      for (std::int64_t i = 0; i < messages; ++i) {
        mailbox.push(number(producer << 32 | i));
      }
    });
  }
  std::array<std::int64_t, producers> next{};
  bool in_order = true;
  std::int64_t got = 0;
  co::Message message;
  while (got < producers * messages) {
    if (mailbox.pop(message)) {
      std::int64_t& expected = next.at(static_cast<std::size_t>(message.value >> 32));
      in_order = in_order && (message.value & 0xffffffff) == expected;
      ++expected;
      ++got;
    } else if (mailbox.prepare_sleep()) {
      (void)readable(mailbox.fd(), -1);  // a lost kick would hang here
      mailbox.wake_up();
    }
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  assert_true(in_order);
  assert_true(mailbox.empty());
}

co::Task<void> flood(co::Executor& executor) {
  for (std::size_t i = 0; i <= co::Mailbox::capacity; ++i) {
    executor.post(number(0));
  }
  co_return;
}

void the_executor_that_fills_its_own_mailbox_asserts(void**) {
  assert_true(test::aborts([] {
    const co::VirtualClock clock;
    co::Executor executor{"test", clock};
    co::TaskGroup group{executor};
    group.spawn("flood", flood(executor));
    (void)executor.tick();
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(messages_come_out_in_the_order_they_went_in),
      cmocka_unit_test(it_holds_what_it_says_round_after_round),
      cmocka_unit_test(nobody_is_kicked_while_the_consumer_is_awake),
      cmocka_unit_test(one_kick_a_sleep),
      cmocka_unit_test(the_consumer_may_not_sleep_on_a_message),
      cmocka_unit_test(kick_makes_the_descriptor_readable),
      cmocka_unit_test(four_producers_lose_nothing_and_keep_their_order),
      cmocka_unit_test(the_executor_that_fills_its_own_mailbox_asserts),
  };
  return cmocka_run_group_tests_name("mailbox", tests, nullptr, nullptr);
}

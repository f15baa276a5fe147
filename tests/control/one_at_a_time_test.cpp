// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "targetcli-config/exporter/one_at_a_time.h"
#include "tests/cmocka.h"

using namespace ballast;
using namespace std::chrono_literals;
using exporter::OneAtATime;

namespace {

void each_question_is_answered_anew(void**) {
  OneAtATime<int> numbers{"test", [number = 0]() mutable { return ++number; }};
  assert_int_equal(*numbers.get(10s), 1);
  assert_int_equal(*numbers.get(10s), 2);
}

void who_asks_meanwhile_joins(void**) {
  std::latch begun{1}, may_end{1};
  std::atomic<int> made = 0;
  OneAtATime<int> slow{"test", [&] {
                         begun.count_down();
                         may_end.wait();
                         return ++made;
                       }};
  std::vector<std::thread> clients;
  std::atomic<int> asking = 0;
  std::atomic<int> got = 0;
  clients.emplace_back([&] { got += *slow.get(30s); });
  begun.wait();
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back([&] {
      ++asking;
      got += *slow.get(30s);
    });
  }
  while (asking < 5) {
    std::this_thread::sleep_for(1ms);
  }
  std::this_thread::sleep_for(100ms);  // those that are late make one of their own
  may_end.count_down();
  for (std::thread& client : clients) {
    client.join();
  }
  assert_true(made < 6);
  assert_true(got >= 6);
}

void nobody_waits_longer_than_they_want(void**) {
  const auto may_end = std::make_shared<std::latch>(1);
  std::atomic<int> begun = 0;
  OneAtATime<int> hanging{"test", [may_end, &begun] {
                            ++begun;
                            may_end->wait();
                            return 1;
                          }};
  assert_null(hanging.get(10ms).get());
  while (begun == 0) {
    std::this_thread::sleep_for(1ms);
  }
  assert_null(hanging.get(10ms).get());
  assert_int_equal(begun.load(), 1);  // the second one joined
  may_end->count_down();
  assert_non_null(hanging.get(10s).get());
}

void a_failure_is_not_for_ever(void**) {
  OneAtATime<int> often{
      "test", [times = 0]() mutable { return ++times == 1 ? throw std::bad_alloc{} : times; }};
  assert_null(often.get(10s).get());
  assert_int_equal(*often.get(10s), 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(each_question_is_answered_anew),
      cmocka_unit_test(who_asks_meanwhile_joins),
      cmocka_unit_test(nobody_waits_longer_than_they_want),
      cmocka_unit_test(a_failure_is_not_for_ever),
  };
  return cmocka_run_group_tests_name("one at a time", tests, nullptr, nullptr);
}

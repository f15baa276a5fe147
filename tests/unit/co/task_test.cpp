// SPDX-License-Identifier: Apache-2.0
#include "lib/co/task.h"

#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

struct Fixture {
  const co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
};

co::Task<int> answer(co::Executor&, int value) {
  co_return value;
}

co::Task<void> ask(co::Executor& executor, int* into) {
  *into = co_await answer(executor, 42);
}

void a_task_gives_its_value_to_who_awaits_it(void**) {
  Fixture f;
  int value = 0;
  f.group.spawn("asker", ask(f.executor, &value));
  test::run(f.executor);
  assert_int_equal(value, 42);
}

co::Task<std::unique_ptr<int>> make(co::Executor&, std::unique_ptr<int> from) {
  co_return std::move(from);
}

co::Task<void> pass_along(co::Executor& executor, int* into) {
  auto one = std::make_unique<int>(9);
  const std::unique_ptr<int> back = co_await make(executor, std::move(one));
  *into = *back;
}

void a_value_that_only_moves_passes_through(void**) {
  Fixture f;
  int value = 0;
  f.group.spawn("passer", pass_along(f.executor, &value));
  test::run(f.executor);
  assert_int_equal(value, 9);
}

void a_task_is_lazy(void**) {
  Fixture f;
  int value = 0;
  {
    const co::Task<void> never = ask(f.executor, &value);
    assert_int_equal(f.executor.frames().stats().live, 1);
  }
  assert_int_equal(value, 0);
  assert_int_equal(f.executor.frames().stats().live, 0);
}

class Counter {
 public:
  explicit Counter(co::Executor& executor) : executor_{executor} {}
  co::Executor& executor() { return executor_; }
  co::Task<int> next() { co_return ++count_; }

 private:
  co::Executor& executor_;
  int count_ = 0;
};

co::Task<void> count_three(co::Executor&, Counter* counter, int* into) {
  for (int i = 0; i < 3; ++i) {
    *into = co_await counter->next();
  }
}

void a_member_function_names_the_executor_by_its_object(void**) {
  Fixture f;
  Counter counter{f.executor};
  int value = 0;
  f.group.spawn("counter", count_three(f.executor, &counter, &value));
  test::run(f.executor);
  assert_int_equal(value, 3);
}

// The stack of a thread is 8 MiB; each of these would need some hundred bytes a round if a return
// deepened it.
constexpr int many = 100'000;

co::Task<void> await_many(co::Executor& executor, int* sum) {
  for (int i = 0; i < many; ++i) {
    *sum += co_await answer(executor, 1);
  }
}

void many_synchronous_completions_do_not_deepen_the_stack(void**) {
  Fixture f;
  int sum = 0;
  f.group.spawn("sum", await_many(f.executor, &sum));
  test::run(f.executor);
  assert_int_equal(sum, many);
}

co::Task<int> descend(co::Executor& executor, int depth) {
  if (depth == 0) {
    co_return 0;
  }
  const int below = co_await descend(executor, depth - 1);
  co_return below + 1;
}

co::Task<void> descend_from(co::Executor& executor, int* depth) {
  *depth = co_await descend(executor, many);
}

void many_nested_tasks_do_not_deepen_the_stack(void**) {
  Fixture f;
  int depth = 0;
  f.group.spawn("descend", descend_from(f.executor, &depth));
  test::run(f.executor);
  assert_int_equal(depth, many);
}

co::Task<void> set_flag(co::Executor&, bool* flag, const int* sum, int* seen) {
  *flag = true;
  *seen = *sum;
  co_return;
}

void a_long_chain_of_synchronous_completions_lets_others_run(void**) {
  Fixture f;
  int sum = 0;
  int seen = 0;
  bool flag = false;
  f.group.spawn("sum", await_many(f.executor, &sum));
  f.group.spawn("other", set_flag(f.executor, &flag, &sum, &seen));
  test::run(f.executor);
  assert_true(flag);
  assert_in_range(seen, 1, co::Executor::transfers_per_run);
}

co::Task<void> wait_for_waker(co::Executor& executor, co::Waker* waker) {
  co::Wait wait{executor, "never"};
  *waker = wait.waker();
  co_await wait;
}

co::Task<void> await_moved_in(co::Executor&, co::Task<void>* child) {
  co_await std::move(*child);
}

void destroying_a_suspended_task_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    co::Waker waker;
    auto child = std::make_unique<co::Task<void>>(wait_for_waker(f.executor, &waker));
    f.group.spawn("parent", await_moved_in(f.executor, child.get()));
    test::run(f.executor);
    child.reset();
  }));
}

co::Task<void> await_the_same_twice(co::Executor& executor, int* value) {
  co::Task<void> child = ask(executor, value);
  co_await std::move(child);
  co_await std::move(child);
}

void awaiting_a_task_twice_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    int value = 0;
    f.group.spawn("twice", await_the_same_twice(f.executor, &value));
    test::run(f.executor);
  }));
}

co::Task<void> await_of(co::Executor&, co::Executor* other, int* value) {
  co_await ask(*other, value);
}

void awaiting_a_task_of_another_executor_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    co::Executor other{"other", f.clock};
    int value = 0;
    f.group.spawn("stranger", await_of(f.executor, &other, &value));
    test::run(f.executor);
  }));
}

co::Task<void> throws(co::Executor&) {
  throw 1;
  co_return;
}

void an_exception_that_leaves_a_task_asserts(void**) {
  assert_true(test::aborts([] {
    Fixture f;
    f.group.spawn("thrower", throws(f.executor));
    test::run(f.executor);
  }));
}

// Notes what it hears, after whoever listened before it.
class Listener final : public co::TaskListener<int> {
 public:
  Listener(std::string* story, char mark) : story_{story}, mark_{mark} {}
  void listen_to(co::Task<int>* task, std::uint32_t tag) { before_ = task->on_end({this, tag}); }
  void task_ended(const int& value, std::uint32_t tag) override {
    before_.tell(value);
    *story_ += fmt::format("{}{}/{} ", mark_, value, tag);
  }
  void task_dropped(std::uint32_t tag) override {
    before_.drop();
    *story_ += fmt::format("{}dropped/{} ", mark_, tag);
  }

 private:
  std::string* story_;
  char mark_;
  co::TaskEnding<int> before_;
};

struct Local {
  std::string* story;
  ~Local() { *story += "local gone "; }
};

co::Task<int> with_a_local(co::Executor&, std::string* story) {
  const Local local{story};
  co_return 5;
}

co::Task<void> await_it(co::Executor&, co::Task<int>* task, std::string* story) {
  const int value = co_await std::move(*task);
  *story += fmt::format("awaiter {}", value);
}

void listeners_hear_of_the_end_after_the_locals_and_before_the_awaiter(void**) {
  Fixture f;
  std::string story;
  Listener first{&story, 'a'};
  Listener second{&story, 'b'};
  co::Task<int> task = with_a_local(f.executor, &story);
  first.listen_to(&task, 1);
  second.listen_to(&task, 2);
  f.group.spawn("awaiter", await_it(f.executor, &task, &story));
  test::run(f.executor);
  assert_string_equal(story.c_str(), "local gone a5/1 b5/2 awaiter 5");
}

void listeners_hear_that_nobody_awaited_the_task(void**) {
  Fixture f;
  std::string story;
  Listener first{&story, 'a'};
  Listener second{&story, 'b'};
  {
    co::Task<int> task = with_a_local(f.executor, &story);
    first.listen_to(&task, 1);
    second.listen_to(&task, 2);
  }
  assert_string_equal(story.c_str(), "adropped/1 bdropped/2 ");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_task_gives_its_value_to_who_awaits_it),
      cmocka_unit_test(a_value_that_only_moves_passes_through),
      cmocka_unit_test(a_task_is_lazy),
      cmocka_unit_test(a_member_function_names_the_executor_by_its_object),
      cmocka_unit_test(many_synchronous_completions_do_not_deepen_the_stack),
      cmocka_unit_test(many_nested_tasks_do_not_deepen_the_stack),
      cmocka_unit_test(a_long_chain_of_synchronous_completions_lets_others_run),
      cmocka_unit_test(destroying_a_suspended_task_asserts),
      cmocka_unit_test(awaiting_a_task_twice_asserts),
      cmocka_unit_test(awaiting_a_task_of_another_executor_asserts),
      cmocka_unit_test(an_exception_that_leaves_a_task_asserts),
      cmocka_unit_test(listeners_hear_of_the_end_after_the_locals_and_before_the_awaiter),
      cmocka_unit_test(listeners_hear_that_nobody_awaited_the_task),
  };
  return cmocka_run_group_tests_name("task", tests, nullptr, nullptr);
}

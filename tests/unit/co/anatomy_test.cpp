// SPDX-License-Identifier: Apache-2.0
// Where the promise is in a coroutine's frame. The compiler decides that, and whoever reads a core
// file relies on it.
#include "lib/co/anatomy.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "lib/co/sleep.h"
#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

const void* pointer_at(const anatomy::Type& type, const char* name, const void* object) {
  const auto* const end = type.fields + type.count;
  const auto* const field = std::find_if(type.fields, end, [name](const anatomy::Field& one) {
    return std::string_view{name} == one.name;
  });
  assert_true(field != end);
  const void* value = nullptr;
  std::memcpy(&value, static_cast<const std::byte*>(object) + field->offset, sizeof value);
  return value;
}

// Parameters and values of different sizes do not move it.
struct Wide {
  std::uint64_t numbers[4];
};
co::Task<int> inner(co::Executor& executor) {
  co_await co::sleep_for(executor, std::chrono::seconds{1});
  co_return 1;
}
co::Task<int> outer(co::Executor& executor, Wide wide) {
  const int one = co_await inner(executor);
  co_return one + static_cast<int>(wide.numbers[0]);
}
co::Task<void> outermost(co::Executor& executor) {
  (void)co_await outer(executor, Wide{});
}

void a_frame_says_its_executor_its_task_and_who_awaits_it(void**) {
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  group.spawn("task", outermost(executor));
  (void)executor.tick();
  const co::TaskInfo* const task = executor.registry().first();
  assert_non_null(task->waits_for);
  int frames = 0;
  const anatomy::Type& coroutine = co::Anatomy::coroutine;
  for (const void* frame = task->frame; frame != nullptr;
       frame = pointer_at(coroutine, "awaiter", frame)) {
    assert_ptr_equal(pointer_at(coroutine, "executor", frame), &executor);
    assert_ptr_equal(pointer_at(coroutine, "task", frame), task);
    ++frames;
  }
  assert_int_equal(frames, 3);
  clock.advance_to(TimePoint{std::chrono::seconds{2}});
  test::run(executor);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_frame_says_its_executor_its_task_and_who_awaits_it),
  };
  return cmocka_run_group_tests_name("anatomy", tests, nullptr, nullptr);
}

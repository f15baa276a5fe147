// SPDX-License-Identifier: Apache-2.0
#include "lib/io/buffer_pool.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "lib/co/sleep.h"
#include "tests/cmocka.h"
#include "tests/unit/io/support.h"

using namespace ballast;

namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = 1024 * kib;

struct House {
  explicit House(std::size_t limit)
      : pool{std::move(io::BufferPool::open(executor, Bytes{limit})).value()} {}
  void run() {
    while (!executor.idle()) {
      (void)executor.tick();
    }
  }
  co::VirtualClock clock;
  co::Executor executor{"test", clock};
  co::TaskGroup group{executor};
  std::unique_ptr<io::BufferPool> pool;
};

void buffers_begin_at_pages_and_have_the_size_asked_for(void**) {
  House house{4 * mib};
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{515}, 4 * kib, 5 * kib, 64 * kib, 2 * mib}) {
    const auto buffer = house.pool->try_acquire(size);
    assert_true(static_cast<bool>(buffer));
    assert_int_equal(buffer.bytes().size(), size);
    assert_int_equal(reinterpret_cast<std::uintptr_t>(buffer.bytes().data()) % 4096, 0);
  }
  assert_int_equal(house.pool->stats().in_use_bytes, 0);
}

void the_limit_holds(void**) {
  House house{8 * mib};
  std::vector<io::Buffer> all;
  for (int i = 0; i < 2048; ++i) {
    auto buffer = house.pool->try_acquire(4 * kib);
    assert_true(static_cast<bool>(buffer));
    all.push_back(std::move(buffer));
  }
  assert_false(static_cast<bool>(house.pool->try_acquire(1)));
  all.clear();
  assert_true(
      static_cast<bool>(house.pool->try_acquire(8 * mib)));  // the halves have found each other
}

void living_buffers_never_overlap(void**) {
  House house{8 * mib};
  std::mt19937_64 random{test::seed()};
  struct Living {
    io::Buffer buffer;
    int mark;
  };
  std::vector<Living> living;
  const auto intact = [](const Living& l) {
    const auto bytes = l.buffer.bytes();
    return std::all_of(bytes.begin(), bytes.end(),
                       [&](std::byte b) { return b == static_cast<std::byte>(l.mark); });
  };
  for (int i = 0; i < 3000; ++i) {
    if (random() % 2 == 0) {
      auto buffer =
          house.pool->try_acquire(1 + random() % (std::size_t{1} << (10 + random() % 10)));
      if (buffer) {
        std::memset(buffer.bytes().data(), i & 0xff, buffer.bytes().size());
        living.push_back(Living{std::move(buffer), i & 0xff});
      }
    } else if (!living.empty()) {
      std::swap(living[random() % living.size()], living.back());
      assert_true(intact(living.back()));
      living.pop_back();
    }
  }
  living.clear();
  assert_int_equal(house.pool->stats().in_use_bytes, 0);
}

co::Task<void> hold(House& house, co::Executor& executor, std::size_t size, char name,
                    std::string* trace, co::Waker* let_go) {
  const io::Buffer buffer = co_await house.pool->acquire(size);
  BALLAST_ASSERT(buffer.bytes().size() == size);
  trace->push_back(name);
  co::Wait wait{executor, "letting go"};
  *let_go = wait.waker();
  co_await wait;
}

co::Task<void> try_for(io::BufferPool& pool, std::size_t size, co::CancelToken cancel, bool* ended,
                       bool* got) {
  const io::Buffer buffer = co_await pool.acquire(size, cancel);
  *ended = true;
  *got = static_cast<bool>(buffer);
}

void one_that_is_told_to_stop_waiting_holds_up_nobody(void**) {
  House house{8 * mib};
  std::string trace;
  co::Waker let_go;
  co::CancelSource stop;
  bool ended[2] = {};
  bool got[2] = {};
  house.group.spawn("a", hold(house, house.executor, 4 * mib, 'a', &trace, &let_go));
  house.group.spawn("B", try_for(*house.pool, 8 * mib, stop.token(), &ended[0], &got[0]));
  house.group.spawn("c", try_for(*house.pool, 4 * kib, {}, &ended[1], &got[1]));
  house.run();
  assert_false(ended[0] || ended[1]);
  stop.request();
  house.run();
  assert_true(ended[0] && !got[0]);
  assert_true(ended[1] && got[1]);
  (void)let_go.wake();
  house.run();
  assert_int_equal(house.pool->stats().in_use_bytes, 0);
}

void nobody_overtakes_a_waiter(void**) {
  House house{8 * mib};
  std::string trace;
  co::Waker let_go[4];
  house.group.spawn("a", hold(house, house.executor, 4 * mib, 'a', &trace, &let_go[0]));
  house.group.spawn("b", hold(house, house.executor, 4 * kib, 'b', &trace, &let_go[1]));
  house.group.spawn("C", hold(house, house.executor, 8 * mib, 'C', &trace, &let_go[2]));
  house.group.spawn("d", hold(house, house.executor, 4 * kib, 'd', &trace, &let_go[3]));
  house.run();
  assert_string_equal(trace.c_str(), "ab");  // d would fit, but C came first
  assert_false(static_cast<bool>(house.pool->try_acquire(1)));
  for (const co::Waker& waker : let_go) {
    (void)waker.wake();
    house.run();
  }
  assert_string_equal(trace.c_str(), "abCd");
  assert_int_equal(house.pool->stats().waits, 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(buffers_begin_at_pages_and_have_the_size_asked_for),
      cmocka_unit_test(the_limit_holds),
      cmocka_unit_test(living_buffers_never_overlap),
      cmocka_unit_test(one_that_is_told_to_stop_waiting_holds_up_nobody),
      cmocka_unit_test(nobody_overtakes_a_waiter),
  };
  return cmocka_run_group_tests_name("buffer pool", tests, nullptr, nullptr);
}

// SPDX-License-Identifier: Apache-2.0
#include "lib/co/frame_pool.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/unit/co/support.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;

namespace {

void a_frame_that_came_back_is_used_again(void**) {
  co::Arena arena;
  co::FramePool pool{arena};
  void* const first = pool.allocate(200);
  co::FramePool::release(first);
  void* const second = pool.allocate(200);
  assert_ptr_equal(first, second);
  co::FramePool::release(second);
}

void it_knows_its_high_water_mark(void**) {
  co::Arena arena;
  co::FramePool pool{arena};
  std::vector<void*> frames;
  for (int i = 0; i < 10; ++i) {
    frames.push_back(pool.allocate(100));
  }
  for (void* const frame : frames) {
    co::FramePool::release(frame);
  }
  co::FramePool::release(pool.allocate(100));
  assert_int_equal(pool.stats().live, 0);
  assert_int_equal(pool.stats().live_peak, 10);
}

void a_steady_state_adds_no_slab(void**) {
  co::Arena arena;
  co::FramePool pool{arena};
  std::vector<void*> frames;
  std::uint64_t slabs = 0;
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < 2000; ++i) {
      frames.push_back(pool.allocate(64 + i % 1000));
    }
    for (void* const frame : frames) {
      co::FramePool::release(frame);
    }
    frames.clear();
    if (round == 0) {
      slabs = pool.stats().slab_allocations;
    }
  }
  assert_int_equal(pool.stats().slab_allocations, slabs);
  assert_int_equal(pool.stats().oversize, 0);
}

void frames_of_every_size_are_aligned_and_apart(void**) {
  co::Arena arena;
  co::FramePool pool{arena};
  std::vector<unsigned char*> frames;
  for (std::size_t size = 1; size <= 6000; size += 37) {
    auto* const frame = static_cast<unsigned char*>(pool.allocate(size));
    assert_int_equal(reinterpret_cast<std::uintptr_t>(frame) % __STDCPP_DEFAULT_NEW_ALIGNMENT__, 0);
    std::memset(frame, static_cast<int>(frames.size() & 0xff), size);
    frames.push_back(frame);
  }
  std::size_t size = 1;
  for (std::size_t i = 0; i < frames.size(); ++i, size += 37) {
    assert_int_equal(frames[i][0], i & 0xff);
    assert_int_equal(frames[i][size - 1], i & 0xff);
    co::FramePool::release(frames[i]);
  }
}

void a_frame_above_4_kib_comes_from_the_heap_and_is_counted(void**) {
  co::Arena arena;
  co::FramePool pool{arena};
  void* const small = pool.allocate(4096 - 16);
  assert_int_equal(pool.stats().oversize, 0);
  void* const large = pool.allocate(4096 - 15);
  assert_int_equal(pool.stats().oversize, 1);
  co::FramePool::release(small);
  co::FramePool::release(large);
}

void a_leaked_frame_asserts(void**) {
  assert_true(test::aborts([] {
    co::Arena arena;
    co::FramePool pool{arena};
    (void)pool.allocate(100);
  }));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_frame_that_came_back_is_used_again),
      cmocka_unit_test(it_knows_its_high_water_mark),
      cmocka_unit_test(a_steady_state_adds_no_slab),
      cmocka_unit_test(frames_of_every_size_are_aligned_and_apart),
      cmocka_unit_test(a_frame_above_4_kib_comes_from_the_heap_and_is_counted),
      cmocka_unit_test(a_leaked_frame_asserts),
  };
  return cmocka_run_group_tests_name("frame pool", tests, nullptr, nullptr);
}

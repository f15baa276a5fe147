// SPDX-License-Identifier: Apache-2.0
#include "lib/co/arena.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/cmocka.h"
#include "tests/sanitizers.h"

namespace {
bool no_memory = false;
}  // namespace

#ifndef BALLAST_TSAN

void* operator new(std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
  const auto to = static_cast<std::size_t>(align);
  return no_memory ? nullptr : std::aligned_alloc(to, (size + to - 1) / to * to);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
#endif

using ballast::co::Arena;

namespace {

int memory_is_back(void**) {
  no_memory = false;
  return 0;
}

void with_memory_the_reserve_is_not_touched(void**) {
  Arena arena;
  for (int i = 0; i < 100; ++i) {
    assert_int_equal(arena.take(65536, 64).size(), 65536);
  }
  assert_false(arena.is_short());
}

void without_memory_pieces_come_from_the_reserve(void**) {
  Arena arena;
  no_memory = true;
  const std::span<std::byte> piece = arena.take(65536, 64);
  assert_true(piece.size() >= 64 && piece.size() < 65536);
  std::memset(piece.data(), 1, piece.size());
  assert_int_equal(reinterpret_cast<std::uintptr_t>(piece.data()) % 16, 0);
  assert_true(arena.is_short());
  assert_true(arena.take(100000, 100000).size() >= 100000);
}

void a_used_up_reserve_is_an_exception(void**) {
  Arena arena;
  no_memory = true;
  bool thrown = false;
  std::size_t pieces = 0;
  try {
    for (;; ++pieces) {
      (void)arena.take(65536, 64);
    }
  } catch (const std::bad_alloc&) {
    thrown = true;
  }
  assert_true(thrown);
  assert_true(pieces > 200);
}

void it_is_renewed_when_memory_is_back(void**) {
  Arena arena;
  no_memory = true;
  (void)arena.take(65536, 64);
  assert_false(arena.renew());
  no_memory = false;
  assert_true(arena.renew());
  assert_false(arena.is_short());
}

void without_memory_from_the_start_it_is_short(void**) {
  no_memory = true;
  Arena arena;
  assert_true(arena.is_short());
}

}  // namespace

int main() {
#ifdef BALLAST_TSAN
  return 77;  // memory cannot be made to run out
#endif
  const CMUnitTest tests[] = {
      cmocka_unit_test_teardown(with_memory_the_reserve_is_not_touched, memory_is_back),
      cmocka_unit_test_teardown(without_memory_pieces_come_from_the_reserve, memory_is_back),
      cmocka_unit_test_teardown(a_used_up_reserve_is_an_exception, memory_is_back),
      cmocka_unit_test_teardown(it_is_renewed_when_memory_is_back, memory_is_back),
      cmocka_unit_test_teardown(without_memory_from_the_start_it_is_short, memory_is_back),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

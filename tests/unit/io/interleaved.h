// SPDX-License-Identifier: Apache-2.0
// The objects that the threads of Interleavings share.
#pragma once

#include <array>
#include <atomic>
#include <concepts>
#include <utility>

#include "lib/base/units.h"
#include "tests/unit/io/interleavings.h"

namespace ballast::test {

template <class T>
Interleavings::Value to_value(T value) {
  return static_cast<Interleavings::Value>(value);
}
inline Interleavings::Value to_value(TimePoint value) {
  return value.since_start.count();
}
template <class T>
T from_value(Interleavings::Value value) {
  if constexpr (std::same_as<T, TimePoint>) {
    return TimePoint{Nanoseconds{value}};
  } else {
    return static_cast<T>(value);
  }
}

// Takes the place of std::atomic.
template <class T>
class Atomic {
 public:
  using Value = Interleavings::Value;

  explicit(false) Atomic(T value = T{}) : cell_{world().add_cell(to_value(value))} {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  int cell() const { return cell_; }
  T load(std::memory_order) const {
    return from_value<T>(world().step({.cell = cell_}, [this] { return world().read(cell_); }));
  }
  void store(T value, std::memory_order order) {
    const bool whole = order == std::memory_order_seq_cst;
    (void)world().step({.cell = cell_, .writes = true, .whole = whole}, [&] {
      if (whole) {
        world().memory(cell_) = to_value(value);
      } else {
        world().store_later(cell_, to_value(value));
      }
      return Value{0};
    });
  }
  T exchange(T value, std::memory_order) {
    return modify([value](T) { return value; });
  }
  T fetch_add(T by, std::memory_order) {
    return modify([by](T value) { return static_cast<T>(value + by); });
  }
  T fetch_sub(T by, std::memory_order) {
    return modify([by](T value) { return static_cast<T>(value - by); });
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order, std::memory_order) {
    const T was = modify([&](T value) { return value == expected ? desired : value; });
    return std::exchange(expected, was) == was;
  }
  bool compare_exchange_weak(T& expected, T desired, std::memory_order one, std::memory_order two) {
    return compare_exchange_strong(expected, desired, one, two);
  }
  void wait(T old, std::memory_order) const {
    for (;;) {
      const Value is_old = world().step({.cell = cell_, .whole = true}, [&] {
        const bool sleeps = world().memory(cell_) == to_value(old);
        world().memory(world().awake_cell()) = sleeps ? 0 : 1;
        return Value{sleeps};
      });
      if (is_old == 0) {
        return;
      }
      (void)world().step({.until = {.cells = {world().awake_cell(), -1}}}, [] { return Value{0}; });
    }
  }
  void notify_all() {
    (void)world().step({}, [] {
      world().wake_all();
      return Value{0};
    });
  }

 private:
  static Interleavings& world() { return *Interleavings::current; }
  template <class Change>
  T modify(Change change) {
    return from_value<T>(world().step({.cell = cell_, .writes = true, .whole = true}, [&] {
      const Value was = world().memory(cell_);
      world().memory(cell_) = to_value(change(from_value<T>(was)));
      return was;
    }));
  }
  int cell_;
};

// An integer that a lock guards, so using it is no step. Only the check at the end may read it
// outside of threads.
class Shared {
 public:
  using Value = Interleavings::Value;
  explicit Shared(Value value = 0) : cell_{world().add_cell(value)} {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  int cell() const { return cell_; }
  Value get() const {
    return world().answer([this] { return world().memory(cell_); });
  }
  void set(Value value) {
    (void)world().answer([&] { return world().memory(cell_) = value; });
  }
  Value at_end() const { return world().memory(cell_); }

 private:
  static Interleavings& world() { return *Interleavings::current; }
  int cell_;
};

// An eventfd.
class Descriptor {
 public:
  int cell() const { return readable_.cell(); }
  void write() { readable_.store(1, std::memory_order_seq_cst); }
  void drain() { readable_.store(0, std::memory_order_seq_cst); }

 private:
  Atomic<int> readable_;
};

// poll(2): waits until one of the cells is not 0, or the clock shows `at`.
inline void poll(std::array<int, 2> cells, Interleavings::Value at) {
  (void)Interleavings::current->step({.whole = true, .until = {.cells = cells, .at = at}},
                                     [] { return Interleavings::Value{0}; });
}

}  // namespace ballast::test

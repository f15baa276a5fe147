// SPDX-License-Identifier: Apache-2.0
// One operation of the simulated store between its start and its end; a local of SimBackend::run().
#pragma once

#include "lib/co/event.h"
#include "tests/sim/sim_backend.h"

namespace ballast::sim {

inline const char* name(OpKind kind) {
  static constexpr const char* names[] = {"read", "write", "zero", "discard", "flush"};
  return names[static_cast<std::size_t>(kind)];
}

class SimBackend::Running {
 public:
  static constexpr std::size_t most_steps = 3;

  Running(SimBackend& store, const Op& op, io::SgView data)
      : number{store.ops_.size()},
        what{op},
        buffer{data},
        go{store.executor_, "the simulated store"},
        store_{store},
        inside_{store.at_work_} {
    what.started = store.executor_.now();
    draw_lot();
    at_start = store.ended_;
    acknowledged = store.acknowledged_;
    last_before = store.last_landing_;
    store.ops_.push_back(what);
    store.verdict_.trace(what.started, "  op {} {} {}+{}{}", number, name(what.kind), what.first,
                         what.count, what.fua ? " fua" : "");
    store.running_.push_back(this);
  }
  ~Running() { std::erase(store_.running_, this); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  const std::size_t number;  // in ops_
  Op what;
  const io::SgView buffer;
  co::Event go;
  std::size_t steps = 1;
  std::array<std::uint8_t, most_blocks> step_of{};  // when each block lands; most_steps: never
  Numbers landed{};                                 // by index; 0: not
  Numbers at_start{};                               // for a flush: what it covers for certain
  std::uint32_t last_before = 0;                    // the store's last landing before it began
  std::uint64_t acknowledged = 0;                   // the same, as its client counts
  IoStatus fate = IoStatus::ok;
  bool cancellable = false;
  bool once = false;   // it must not be sent again
  bool again = false;  // the connection was lost: it is to be sent again
  bool any_landed = false;
  bool all_landed = false;
  bool released = false;
  bool kept = false;         // frozen until release() or thaw()
  std::size_t step = 0;      // waits behind it
  std::size_t landings = 0;  // of its steps, since it was sent
  std::size_t stuck_at = most_steps + 1;
  TimePoint stuck_until{};

  // Sent again, it lands as a whole once more.
  void begin_again() {
    step = 0;
    landings = 0;
    all_landed = false;
    fate = IoStatus::ok;
    steps = 1 + static_cast<std::size_t>(store_.random_.below(most_steps));
    for (std::uint32_t i = 0; i < what.count; ++i) {
      step_of[i] = static_cast<std::uint8_t>(store_.random_.below(steps));
    }
  }

 private:
  void draw_lot() {
    co::Random& random = store_.random_;
    const Temper& temper = store_.temper_;
    steps = 1 + static_cast<std::size_t>(random.below(most_steps));
    for (std::uint32_t i = 0; i < what.count; ++i) {
      step_of[i] = static_cast<std::uint8_t>(random.below(steps));
    }
    cancellable = random.chance(temper.cancellable, 1000);
    if (random.chance(temper.stuck, 1000)) {
      stuck_at = static_cast<std::size_t>(random.below(steps + 1));
    }
    if (random.chance(temper.no_resource, 1000) && what.kind != OpKind::flush) {
      fate = IoStatus::no_resource;
    } else if (random.chance(temper.medium_error, 1000)) {
      fate = IoStatus::medium_error;
    }
    for (std::uint32_t i = 0; i < what.count && fate != IoStatus::ok; ++i) {
      if (fate == IoStatus::no_resource || random.chance(1, 2)) {
        step_of[i] = most_steps;
      }
    }
  }

  SimBackend& store_;
  const co::Gate::Guard inside_;
};

}  // namespace ballast::sim

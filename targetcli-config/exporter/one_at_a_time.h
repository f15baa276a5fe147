// SPDX-License-Identifier: Apache-2.0
// OneAtATime<T>: makes a T when somebody asks for one, on a thread of its own, and never two at
// once.
//
// Who asks while a T is being made gets that one, so a hundred clients cause no more work than one.
// Making may hang, in the kernel or at the daemon: everybody waits only as long as they want to,
// and the next one who asks joins the same work. Any thread. The object may be destroyed while
// something is being made, if what `make` uses lives on.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "lib/base/errand.h"
#include "lib/base/units.h"

namespace ballast::exporter {

template <class T>
class OneAtATime {
 public:
  // `name`: of the thread.
  OneAtATime(const char* name, std::function<T()> make)
      : name_{name}, state_{std::make_shared<State>(std::move(make))} {}

  // Returns null if nothing was made within `patience`, or if there is no memory or thread for it.
  std::shared_ptr<const T> get(Nanoseconds patience) {
    std::unique_lock lock{state_->mutex};
    const std::uint64_t before = state_->ended;
    if (!std::exchange(state_->under_way, true) &&
        !send_errand(name_, [state = state_] { run(*state); })) {
      state_->under_way = false;
      return nullptr;
    }
    const bool made =
        state_->changed.wait_for(lock, patience, [&] { return state_->ended != before; });
    return made ? state_->latest : nullptr;
  }

 private:
  struct State {
    explicit State(std::function<T()> make_) : make{std::move(make_)} {}
    const std::function<T()> make;
    std::mutex mutex;
    std::condition_variable changed;
    std::shared_ptr<const T> latest;
    std::uint64_t ended = 0;
    bool under_way = false;
  };

  static void run(State& state) noexcept {
    std::shared_ptr<const T> made;
    try {
      made = std::make_shared<const T>(state.make());
    } catch (const std::exception&) {
      // Out of memory: those who wait get null.
    }
    const std::lock_guard lock{state.mutex};
    state.latest = std::move(made);
    state.ended++;
    state.under_way = false;
    state.changed.notify_all();
  }

  const char* const name_;
  const std::shared_ptr<State> state_;
};

}  // namespace ballast::exporter

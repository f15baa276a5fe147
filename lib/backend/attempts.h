// SPDX-License-Identifier: Apache-2.0
// Attempts: opens a store on a thread of its own, for as long as that takes.
//
// Opening may hang (a frozen file system, a server that does not answer), and it may fail for now.
// So an errand (lib/base/errand.h) does it, which no other thread waits for. It makes one attempt
// after the other until one succeeds, until one says that another is useless, or until this object
// is destroyed. In between it pauses: `first_pause`, then twice that, up to `longest_pause`. When
// the reason of the failures changes, it says so with `complain`.
//
// Any thread, but one user at a time.
#pragma once

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "lib/backend/store_source.h"
#include "lib/base/assert.h"
#include "lib/base/errand.h"
#include "lib/base/log.h"
#include "lib/base/result.h"
#include "lib/base/units.h"

namespace ballast::backend {

template <class T>
class Attempts {
 public:
  using State = StoreSource::State;
  using Unwanted = std::function<bool()>;

  struct Outcome {
    Result<T> result;
    bool waits = false;  // after a failure: whether another attempt follows
    std::function<void()>
        afterwards{};  // runs on the errand's thread when `result` was handed over
  };
  struct Plan {
    const char* errand;  // the thread's name
    // Makes one attempt. May hang. An attempt that takes long asks `unwanted` now and then, and
    // gives up if it returns true.
    std::function<Outcome(const Unwanted& unwanted)> attempt;
    // Logs that an attempt failed and another one follows.
    std::function<void(const Error& why)> complain;
    Nanoseconds first_pause = std::chrono::seconds{1};
    Nanoseconds longest_pause = std::chrono::seconds{1};
  };

  // The plan to fill `wanted`, at its pauses and with its log lines.
  static Plan plan_for(StoreOrder wanted, const char* errand,
                       Outcome (*attempt)(const StoreOrder& order, const Unwanted& unwanted)) {
    const auto order = std::make_shared<const StoreOrder>(std::move(wanted));
    return {
        .errand = errand,
        .attempt = [order, attempt](const Unwanted& unwanted) { return attempt(*order, unwanted); },
        .complain = [order](const Error& why) { log_becoming_ready(*order, why); },
        .first_pause = order->interval,
        .longest_pause = order->interval};
  }

  // Starts the errand. If that is impossible, the state is `refused`.
  explicit Attempts(Plan plan) : shared_{std::make_shared<Shared>(std::move(plan))} {
    const bool sent = send_errand(shared_->plan.errand, [shared = shared_] { shared->work(); });
    if (!sent) {
      shared_->state = State::refused;
      shared_->error =
          Error{EAGAIN, "cannot start a thread that opens it; raise TasksMax of the service"};
    }
  }
  // Ends the attempts. If one is under way and succeeds later, the errand destroys what it got.
  // Does not wait for the errand. Another errand destroys a result that was not taken.
  ~Attempts() {
    bool must_be_destroyed = false;
    {
      const std::lock_guard lock{shared_->mutex};
      shared_->unwanted = true;
      shared_->changed.notify_all();
      must_be_destroyed = shared_->found.has_value();
    }
    if (must_be_destroyed) {
      // This may hang, too. If there is no thread for it, it happens here.
      (void)send_errand("ballast/close", [shared = std::move(shared_)] { (void)shared; });
    }
  }
  Attempts(const Attempts&) = delete;
  Attempts& operator=(const Attempts&) = delete;

  // Waits until the first attempt has ended, but no longer than `patience`.
  State wait(Nanoseconds patience) {
    std::unique_lock lock{shared_->mutex};
    shared_->changed.wait_for(lock, patience, [this] { return shared_->state != State::trying; });
    return shared_->state;
  }
  State state() {
    const std::lock_guard lock{shared_->mutex};
    return shared_->state;
  }
  // Says why the last attempt failed. EAGAIN: none has ended yet.
  Error error() {
    const std::lock_guard lock{shared_->mutex};
    return shared_->error;
  }
  // Gives the result to the caller. Call it once, in the state `opened` (asserted).
  T take() {
    const std::lock_guard lock{shared_->mutex};
    BALLAST_ASSERT(shared_->state == State::opened && shared_->found.has_value());
    T found = std::move(*shared_->found);
    shared_->found.reset();
    return found;
  }

 private:
  struct Shared {
    explicit Shared(Plan made) : plan{std::move(made)} {}

    const Plan plan;
    std::mutex mutex;  // guards what follows
    std::condition_variable changed;
    State state = State::trying;
    Error error{EAGAIN, "Ballast has not tried to open it yet"};
    std::optional<T> found;
    bool unwanted = false;

    void work() {
      const Unwanted is_unwanted = [this] {
        const std::lock_guard lock{mutex};
        return unwanted;
      };
      std::string said;
      Nanoseconds length = plan.first_pause;
      while (attempt_once(is_unwanted, said) && pause(length)) {
        length = std::min(length * 2, plan.longest_pause);
      }
    }

    // Returns whether another attempt is needed.
    bool attempt_once(const Unwanted& is_unwanted, std::string& said) {
      try {
        return note(plan.attempt(is_unwanted), said);
      } catch (const std::bad_alloc&) {
        return out_of_memory(said);
      }
    }

    bool out_of_memory(std::string& said) {
      const std::lock_guard lock{mutex};
      if (state == State::opened) {  // what runs afterwards has failed
        return false;
      }
      error = Error{ENOMEM, "out of memory"};
      state = State::waiting;
      changed.notify_all();
      if (said != error.message) {
        said = error.message;
        try {
          plan.complain(error);
        } catch (const std::bad_alloc&) {
          log_plain(LogLevel::warning,
                    "out of memory: a store is not open yet; Ballast tries again");
        }
      }
      return true;
    }

    // Notes what came of an attempt. Returns whether another one is needed.
    bool note(Outcome outcome, std::string& said) {
      if (!outcome.result) {
        return failed(outcome.result.error(), outcome.waits, said);
      }
      {
        const std::lock_guard lock{mutex};
        if (unwanted) {
          return false;  // this thread destroys it
        }
        found.emplace(std::move(outcome.result).value());
        state = State::opened;
        changed.notify_all();
      }
      if (outcome.afterwards) {
        outcome.afterwards();
      }
      return false;
    }

    bool failed(const Error& why, bool waits, std::string& said) {
      const std::lock_guard lock{mutex};
      if (unwanted) {
        return false;
      }
      error = why;
      state = waits ? State::waiting : State::refused;
      if (waits && said != why.message) {
        said = why.message;
        plan.complain(why);
      }
      changed.notify_all();
      return waits;
    }

    // Returns false if the store is not wanted any more.
    bool pause(Nanoseconds length) {
      std::unique_lock lock{mutex};
      changed.wait_for(lock, length, [this] { return unwanted; });
      return !unwanted;
    }
  };
  std::shared_ptr<Shared> shared_;
};

}  // namespace ballast::backend

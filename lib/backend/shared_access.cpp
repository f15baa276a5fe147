// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/shared_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <new>

#include "lib/backend/anatomy.h"
#include "lib/base/log.h"

namespace ballast::backend {
namespace {

using namespace std::chrono_literals;

// After a look or a connection that failed.
constexpr Nanoseconds retry_interval = 500ms;

// What a call on the control thread is to do, and what came of it. A local of the coroutine that
// waits for it.
struct Looking {
  AccessSession& session;
  std::optional<Result<OwnerSeen>> seen{};

  int run() {
    seen.emplace(session.look());
    return *seen ? 0 : -seen->error().errno_value;
  }
};

}  // namespace

SharedAccess::SharedAccess(co::Executor& executor, std::string lun,
                           std::unique_ptr<AccessSession> first,
                           std::unique_ptr<SessionSource> source)
    : executor_{executor},
      lun_{std::move(lun)},
      source_{std::move(source)},
      words_{source_->words()},
      session_{std::move(first)},
      stirred_{executor, "something to do for a shared store"},
      changed_{executor, "a change of a shared store"},
      leaving_{executor, "a shared store's next beat"},
      tasks_{executor},
      ending_{executor},
      landmark_{executor, Anatomy::shared_access, this} {}

void SharedAccess::start(AccessWatcher& watcher) {
  watcher_ = &watcher;
  beat_ = executor_.now();
  next_look_ = beat_;
  tasks_.spawn("a shared store", look_after());
  tasks_.spawn("a shared store's beat", beat());
}

// Lets through whoever waits for a change.
void SharedAccess::tell() {
  changed_.set();
  changed_.reset();
}

void SharedAccess::set_access(Access access, bool expected) {
  if (access == access_) {
    return;
  }
  access_ = access;
  tell();
  watcher_->access_changed(expected);
}

co::Task<void> SharedAccess::look_after() {
  while (!leaving_.is_set()) {
    if (session_ == nullptr) {
      co_await connect();
    } else if (session_->lost()) {
      retire();
    } else if (wish_ == Wish::active && access_ != Access::active) {
      co_await do_take_over();
    } else if (wish_ == Wish::standby && access_ != Access::standby) {
      co_await do_give_back();
    } else {
      wish_ = Wish::none;
      co_await wait_and_look();
    }
  }
}

// --- the session

co::Task<void> SharedAccess::connect() {
  if (old_sessions_ >= source_->most_old() || !begin()) {
    (void)co_await leaving_.wait_until(executor_.now() + retry_interval);
    co_return;
  }
  Nanoseconds pause = connect_interval;
  for (;;) {
    const bool leaving = co_await leaving_.wait_until(executor_.now() + pause);
    if (leaving) {
      co_return;
    }
    const StoreSource::State state = source_->state();
    if (state == StoreSource::State::opened) {
      use_found();
      co_return;
    }
    if (state == StoreSource::State::refused) {
      source_->stop();
      co_return;
    }
    pause = std::min(pause * 2, retry_interval);
  }
}

// Returns false if memory runs out.
bool SharedAccess::begin() {
  try {
    source_->begin();
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// If memory runs out, there is no session, and connect() comes again.
void SharedAccess::use_found() {
  try {
    session_ = source_->take();
  } catch (const std::bad_alloc&) {
  }
  source_->stop();
  next_look_ = executor_.now();
}

void SharedAccess::lost(const AccessSession& session, const char* why) {
  if (&session == session_.get()) {
    lose(why);
  }
}

void SharedAccess::lose(const char* why) {
  if (session_->lost()) {
    return;
  }
  session_->lose();
  if (access_ == Access::active) {
    log(LogLevel::error,
        "{}: this gateway has lost the {}: {}; it stands by, and answers NOT READY, until an "
        "initiator or \"ballastctl activate\" gives it the {} again",
        lun_, words_.store, why, words_.store);
  }
  must_verify_ = false;
  stirred_.set();
  set_access(Access::standby);
}

void SharedAccess::retire() {
  const bool ours = !session_->lost() && !session_->address().empty();
  ++old_sessions_;
  giving_back_ += ours ? 1U : 0U;
  ending_.spawn("a shared store's old session", end_session(std::move(session_), ours));
}

co::Task<void> SharedAccess::end_session(std::unique_ptr<AccessSession> session, bool ours) {
  co_await session->end();
  session.reset();
  --old_sessions_;
  giving_back_ -= ours ? 1U : 0U;
  tell();
}

// --- looking

// Beats while the process runs. A gap tells that it stood still.
co::Task<void> SharedAccess::beat() {
  for (;;) {
    note_time();
    const bool leaving = co_await leaving_.wait_until(executor_.now() + beat_interval);
    if (leaving) {
      co_return;
    }
  }
}

void SharedAccess::note_time() {
  const TimePoint now = executor_.now();
  if (now - beat_ > most_still && access_ != Access::standby && !must_verify_) {
    must_verify_ = true;
    next_look_ = now;
    stirred_.set();
  }
  beat_ = now;
}

co::Task<bool> SharedAccess::verified() {
  while (must_verify_ && access_ == Access::active && !leaving_.is_set()) {
    co_await changed_.wait();
  }
  co_return !must_verify_ && access_ == Access::active;
}

co::Task<void> SharedAccess::wait_and_look() {
  (void)co_await stirred_.wait_until(next_look_);
  stirred_.reset();
  const bool other_work = leaving_.is_set() || session_->lost() || wish_ != Wish::none;
  if (!other_work && executor_.now() >= next_look_) {
    (void)co_await look();
  }
}

// Returns 0 or a negative errno.
co::Task<int> SharedAccess::look() {
  const bool verifies = must_verify_;
  next_look_ = executor_.now() + look_interval;
  Looking looking{.session = *session_};
  std::function<int()> work = [&looking] { return looking.run(); };
  const int result = co_await session_->control().run(std::move(work));
  if (result < 0) {
    next_look_ = std::min(next_look_, executor_.now() + retry_interval);
    if (result == -ESHUTDOWN) {
      lose("it is refused, because another client has taken it over");
    }
    co_return result;
  }
  note_owner(looking.seen->value());
  if (access_ == Access::active && owner_.address != session_->address()) {
    lose("it belongs to another client");
  } else if (verifies && access_ == Access::active) {
    must_verify_ = false;
    tell();
  }
  co_return 0;
}

void SharedAccess::note_owner(const OwnerSeen& seen) {
  const bool other = seen.address != owner_.address;
  try {
    owner_.address = seen.address;
  } catch (const std::bad_alloc&) {
    return;  // the next look tries again
  }
  owner_.group = seen.group;
  if (std::exchange(looked_, true) && other) {
    taken_at_.reset();
    if (!owner_.address.empty() && owner_.address != own_address_) {
      taken_at_ = executor_.now();
    }
  }
}

std::string SharedAccess::trouble() const {
  if (access_ == Access::transition) {
    const char* const step = step_.load(std::memory_order_relaxed);
    return fmt::format("Ballast {}", step != nullptr ? step : "looks at the owner");
  }
  if (session_ == nullptr) {
    return words_.closed;
  }
  return why_;
}

// --- the end

co::Task<void> SharedAccess::close() {
  leaving_.set();
  stirred_.set();
  tell();
  co_await tasks_.join();
  source_->stop();
  if (session_ != nullptr) {
    retire();
  }
  co_await ending_.join();
}

}  // namespace ballast::backend

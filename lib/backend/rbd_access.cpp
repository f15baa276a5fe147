// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/rbd_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <functional>
#include <new>

#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

using namespace std::chrono_literals;

// After a look or a connection that failed.
constexpr Nanoseconds retry_interval = 500ms;

std::int64_t steady_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / Nanoseconds{1};
}

// What a call on the control thread is to do, and what came of it. A local of the coroutine that
// waits for it.
struct Looking {
  RbdConnection& connection;
  std::optional<Result<OwnerSeen>> seen{};

  int run() {
    seen.emplace(read_owner(connection));
    return *seen ? 0 : -seen->error().errno_value;
  }
};
struct TakingOver {
  RbdConnection& connection;
  TakeOrder order;
  std::optional<Result<TakenImage>> taken{};

  int run() {
    taken.emplace(take_ownership(connection, std::move(order)));
    return *taken ? 0 : -taken->error().errno_value;
  }
};

}  // namespace

RbdAccess::RbdAccess(co::Executor& executor, StoreOrder order, Open open, RbdImage image,
                     const Bytes& lun_size)
    : executor_{executor},
      order_{std::move(order)},
      open_{open},
      lun_size_{lun_size},
      session_{std::make_unique<RbdSession>(executor, std::move(image), lun_size)},
      stirred_{executor, "something to do for a shared image"},
      changed_{executor, "a change of a shared image"},
      leaving_{executor, "a shared image's next beat"},
      tasks_{executor},
      ending_{executor} {}

void RbdAccess::start(AccessWatcher& watcher) {
  watcher_ = &watcher;
  beat_ = executor_.now();
  next_look_ = beat_;
  tasks_.spawn("a shared image", look_after());
  tasks_.spawn("a shared image's beat", beat());
}

// Lets through whoever waits for a change.
void RbdAccess::tell() {
  changed_.set();
  changed_.reset();
}

void RbdAccess::set_access(Access access, bool expected) {
  if (access == access_) {
    return;
  }
  access_ = access;
  tell();
  watcher_->access_changed(expected);
}

co::Task<void> RbdAccess::look_after() {
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

co::Task<void> RbdAccess::connect() {
  if (old_sessions_ >= most_old || !begin_connect()) {
    (void)co_await leaving_.wait_until(executor_.now() + retry_interval);
    co_return;
  }
  Nanoseconds pause = connect_interval;
  for (;;) {
    const bool leaving = co_await leaving_.wait_until(executor_.now() + pause);
    if (leaving) {
      co_return;
    }
    const StoreSource::State state = attempts_->state();
    if (state == StoreSource::State::opened) {
      use_found();
      co_return;
    }
    if (state == StoreSource::State::refused) {
      attempts_.reset();
      co_return;
    }
    pause = std::min(pause * 2, retry_interval);
  }
}

// Returns false if memory runs out.
bool RbdAccess::begin_connect() {
  try {
    attempts_ = open_(order_);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

// If memory runs out, there is no session, and connect() comes again.
void RbdAccess::use_found() {
  try {
    session_ = std::make_unique<RbdSession>(executor_, attempts_->take(), lun_size_);
  } catch (const std::bad_alloc&) {
  }
  attempts_.reset();
  next_look_ = executor_.now();
}

void RbdAccess::lost(const RbdSession& session, const char* why) {
  if (&session == session_.get()) {
    lose(why);
  }
}

void RbdAccess::lose(const char* why) {
  if (session_->lost()) {
    return;
  }
  session_->lose();
  if (access_ == Access::active) {
    log(LogLevel::error,
        "{}: this gateway has lost the image: {}; it stands by, and answers NOT READY, until an "
        "initiator or \"ballastctl activate\" gives it the image again",
        order_.lun, why);
  }
  must_verify_ = false;
  stirred_.set();
  set_access(Access::standby);
}

void RbdAccess::retire() {
  const bool ours = !session_->lost() && !session_->address().empty();
  ++old_sessions_;
  giving_back_ += ours ? 1U : 0U;
  ending_.spawn("a shared image's old session", end_session(std::move(session_), ours));
}

co::Task<void> RbdAccess::end_session(std::unique_ptr<RbdSession> session, bool ours) {
  co_await session->end();
  session.reset();
  --old_sessions_;
  giving_back_ -= ours ? 1U : 0U;
  tell();
}

// --- looking

// Beats while the process runs. A gap tells that it stood still.
co::Task<void> RbdAccess::beat() {
  for (;;) {
    note_time();
    const bool leaving = co_await leaving_.wait_until(executor_.now() + beat_interval);
    if (leaving) {
      co_return;
    }
  }
}

void RbdAccess::note_time() {
  const TimePoint now = executor_.now();
  if (now - beat_ > most_still && access_ != Access::standby && !must_verify_) {
    must_verify_ = true;
    next_look_ = now;
    stirred_.set();
  }
  beat_ = now;
}

co::Task<bool> RbdAccess::verified() {
  while (must_verify_ && access_ == Access::active && !leaving_.is_set()) {
    co_await changed_.wait();
  }
  co_return !must_verify_ && access_ == Access::active;
}

co::Task<void> RbdAccess::wait_and_look() {
  (void)co_await stirred_.wait_until(next_look_);
  stirred_.reset();
  const bool other_work = leaving_.is_set() || session_->lost() || wish_ != Wish::none;
  if (!other_work && executor_.now() >= next_look_) {
    (void)co_await look();
  }
}

// Returns 0 or a negative errno.
co::Task<int> RbdAccess::look() {
  const bool verifies = must_verify_;
  next_look_ = executor_.now() + look_interval;
  Looking looking{.connection = session_->connection()};
  std::function<int()> work = [&looking] { return looking.run(); };
  const int result = co_await session_->control().run(std::move(work));
  if (result < 0) {
    next_look_ = std::min(next_look_, executor_.now() + retry_interval);
    if (result == -ESHUTDOWN) {
      lose("the cluster refuses it, because another client has taken the image over");
    }
    co_return result;
  }
  note_owner(looking.seen->value());
  if (access_ == Access::active && owner_.address != session_->address()) {
    lose("its lock belongs to another client");
  } else if (verifies && access_ == Access::active) {
    must_verify_ = false;
    tell();
  }
  co_return 0;
}

void RbdAccess::note_owner(const OwnerSeen& seen) {
  const bool other = seen.address != owner_.address;
  const bool has_record = seen.record.has_value() && seen.record->address == seen.address;
  try {
    owner_.address = seen.address;
  } catch (const std::bad_alloc&) {
    return;  // the next look tries again
  }
  owner_.group = has_record ? seen.record->group : std::uint16_t{0};
  if (std::exchange(looked_, true) && other) {
    taken_at_.reset();
    if (!owner_.address.empty() && owner_.address != own_address_) {
      taken_at_ = executor_.now();
    }
  }
}

// --- taking over and giving back

void RbdAccess::ask(Wish wish, Asker asker) {
  wish_ = wish;
  by_operator_ = by_operator_ || asker == Asker::operator_;
  stirred_.set();
  set_access(Access::transition);
}

co::Task<Move> RbdAccess::take_over(Asker asker, TimePoint until, co::CancelToken cancel) {
  const std::uint64_t before = attempts_ended_;
  if (access_ != Access::active) {
    wanted_until_.store(steady_ns() + wanted_for.count(), std::memory_order_relaxed);
    ask(Wish::active, asker);
  }
  while (access_ != Access::active) {
    if (attempts_ended_ != before) {
      co_return outcome_;
    }
    if (leaving_.is_set() || cancel.requested() || executor_.now() >= until) {
      co_return Move::under_way;
    }
    (void)co_await changed_.wait_until(until, cancel);
  }
  co_return Move::done;
}

co::Task<Move> RbdAccess::give_back(Asker asker, TimePoint until, co::CancelToken cancel) {
  if (access_ != Access::standby) {
    ask(Wish::standby, asker);
  }
  while (access_ != Access::standby || giving_back_ > 0) {
    if (leaving_.is_set() || cancel.requested() || executor_.now() >= until) {
      co_return Move::under_way;
    }
    (void)co_await changed_.wait_until(until, cancel);
  }
  co_return Move::done;
}

bool RbdAccess::is_held() const {
  return !by_operator_ && taken_at_.has_value() && executor_.now() - *taken_at_ < hold;
}

void RbdAccess::end_attempt(Move outcome) {
  outcome_ = outcome;
  ++attempts_ended_;
  by_operator_ = false;
  if (wish_ == Wish::active) {
    wish_ = Wish::none;
  }
}

co::Task<void> RbdAccess::do_take_over() {
  step_.store(RbdOwnership::Step::list, std::memory_order_relaxed);
  why_.clear();
  set_access(Access::transition);
  if (!session_->address().empty()) {  // it is ours still: giving it back had not begun
    end_attempt(Move::done);
    set_access(Access::active, true);
    co_return;
  }
  must_verify_ = false;
  (void)co_await look();  // so that is_held() knows the present owner
  if (session_->lost() || is_held()) {
    end_attempt(session_->lost() ? Move::under_way : Move::held);
    set_access(Access::standby, true);
    co_return;
  }
  TakingOver taking{.connection = session_->connection(),
                    .order = {.manner = RbdOwnership::Manner::robs,
                              .group = group_,
                              .progress = &step_,
                              .unwanted = [this] {
                                return steady_ns() > wanted_until_.load(std::memory_order_relaxed);
                              }}};
  std::function<int()> work = [&taking] { return taking.run(); };
  const int result = co_await session_->control().run(std::move(work));
  const bool expected = !by_operator_;
  if (result < 0) {
    if (taking.taken.has_value()) {
      why_ = std::move(taking.taken->error().message);
    }
    session_->lose();  // the lock may be ours all the same
    log(LogLevel::error, "{}: the image was not taken over: {}", order_.lun, why_);
    end_attempt(Move::failed);
    set_access(Access::standby, expected);
    co_return;
  }
  own(taking.taken->value());
  log(LogLevel::info, "{}: this gateway owns the image now", order_.lun);
  end_attempt(Move::done);
  set_access(Access::active, expected);
}

void RbdAccess::own(TakenImage& taken) {
  session_->owns_as(std::move(taken.address));
  taken_at_.reset();
  try {
    own_address_ = session_->address();
    owner_ = StoreOwner{own_address_, group_};
  } catch (const std::bad_alloc&) {
    // the next look tries again
  }
}

co::Task<void> RbdAccess::do_give_back() {
  const bool expected = !std::exchange(by_operator_, false);
  wish_ = Wish::none;
  set_access(Access::transition);
  co::Gate& running = session_->running();
  const bool quiet = co_await running.drain_until(executor_.now() + quiet_patience);
  if (!quiet) {
    log(LogLevel::warning,
        "{}: the image cannot be given back yet: {} operations on it have not ended after {}; "
        "Ballast ends their commands, and gives it back when the cluster has answered",
        order_.lun, running.count(), config::format_duration(quiet_patience));
  }
  retire();
  const TimePoint until = executor_.now() + quiet_patience;
  while (quiet && giving_back_ > 0 && !leaving_.is_set() && executor_.now() < until) {
    (void)co_await changed_.wait_until(until);
  }
  if (giving_back_ == 0) {
    log(LogLevel::info, "{}: this gateway stands by now, and the image is free", order_.lun);
  }
  set_access(Access::standby, expected);
}

const char* RbdAccess::condition() const {
  switch (access_) {
    case Access::active:
      return "owner";
    case Access::transition:
      return "transition";
    case Access::standby:
      break;
  }
  return session_ != nullptr && !session_->lost() ? "standby" : "fenced";
}

std::string RbdAccess::trouble() const {
  if (access_ == Access::transition) {
    return fmt::format("Ballast {}", to_string(step_.load(std::memory_order_relaxed)));
  }
  if (session_ == nullptr) {
    return "there is no connection to the cluster yet; the log says why";
  }
  return why_;
}

// --- the end

co::Task<void> RbdAccess::close() {
  leaving_.set();
  stirred_.set();
  tell();
  co_await tasks_.join();
  attempts_.reset();
  if (session_ != nullptr) {
    retire();
  }
  co_await ending_.join();
}

}  // namespace ballast::backend

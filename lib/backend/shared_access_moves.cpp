// SPDX-License-Identifier: Apache-2.0
// Taking a shared store over, and giving it back.
#include <algorithm>
#include <chrono>
#include <functional>
#include <new>
#include <optional>
#include <utility>

#include "lib/backend/shared_access.h"
#include "lib/base/log.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

std::int64_t steady_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / Nanoseconds{1};
}

// What a call on the control thread is to do, and what came of it. A local of the coroutine that
// waits for it.
struct TakingOver {
  AccessSession& session;
  TakeOrder order;
  std::optional<Result<std::string>> taken{};

  int run() {
    taken.emplace(session.take(order));
    return *taken ? 0 : -taken->error().errno_value;
  }
};

}  // namespace

void SharedAccess::ask(Wish wish, Asker asker) {
  wish_ = wish;
  by_operator_ = by_operator_ || asker == Asker::operator_;
  stirred_.set();
  set_access(Access::transition);
}

co::Task<Move> SharedAccess::take_over(Asker asker, TimePoint until, co::CancelToken cancel) {
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

co::Task<Move> SharedAccess::give_back(Asker asker, TimePoint until, co::CancelToken cancel) {
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

bool SharedAccess::is_held() const {
  return !by_operator_ && taken_at_.has_value() && executor_.now() - *taken_at_ < hold;
}

void SharedAccess::end_attempt(Move outcome) {
  outcome_ = outcome;
  ++attempts_ended_;
  by_operator_ = false;
  if (wish_ == Wish::active) {
    wish_ = Wish::none;
  }
}

co::Task<void> SharedAccess::do_take_over() {
  step_.store(nullptr, std::memory_order_relaxed);
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
  TakingOver taking{.session = *session_,
                    .order = {.group = group_, .progress = &step_, .unwanted = [this] {
                                return steady_ns() > wanted_until_.load(std::memory_order_relaxed);
                              }}};
  std::function<int()> work = [&taking] { return taking.run(); };
  const int result = co_await session_->control().run(std::move(work));
  const bool expected = !by_operator_;
  if (result < 0) {
    if (taking.taken.has_value()) {
      why_ = std::move(taking.taken->error().message);
    }
    session_->lose();  // the store may be ours all the same
    if (const auto left_out = move_lines_.next_in_words(executor_.now())) {
      log(LogLevel::error, "{}: the {} was not taken over: {}{}", lun_, words_.store, why_,
          *left_out);
    }
    end_attempt(Move::failed);
    set_access(Access::standby, expected);
    co_return;
  }
  own(std::move(taking.taken->value()));
  if (const auto left_out = move_lines_.next_in_words(executor_.now())) {
    log(LogLevel::info, "{}: this gateway owns the {} now{}", lun_, words_.store, *left_out);
  }
  end_attempt(Move::done);
  set_access(Access::active, expected);
}

void SharedAccess::own(std::string address) {
  session_->owns_as(std::move(address));
  taken_at_.reset();
  try {
    own_address_ = session_->address();
    owner_ = StoreOwner{own_address_, group_};
  } catch (const std::bad_alloc&) {
    // the next look tries again
  }
}

co::Task<void> SharedAccess::do_give_back() {
  const bool expected = !std::exchange(by_operator_, false);
  wish_ = Wish::none;
  set_access(Access::transition);
  co::Gate& running = session_->running();
  const bool quiet = co_await running.drain_until(executor_.now() + quiet_patience);
  if (!quiet) {
    log(LogLevel::warning,
        "{}: the {} cannot be given back yet: {} operations on it have not ended after {}; "
        "Ballast ends their commands, and gives it back when {} has answered",
        lun_, words_.store, running.count(), config::format_duration(quiet_patience),
        words_.server);
  }
  retire();
  const TimePoint until = executor_.now() + quiet_patience;
  while (quiet && giving_back_ > 0 && !leaving_.is_set() && executor_.now() < until) {
    (void)co_await changed_.wait_until(until);
  }
  if (giving_back_ == 0) {
    if (const auto left_out = move_lines_.next_in_words(executor_.now())) {
      log(LogLevel::info, "{}: this gateway stands by now, and the {} is free{}", lun_,
          words_.store, *left_out);
    }
  }
  set_access(Access::standby, expected);
}

}  // namespace ballast::backend

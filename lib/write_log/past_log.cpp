// SPDX-License-Identifier: Apache-2.0
// How a LoggedStore comes to work without its log: because the log failed, or because an operator
// wants that.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/log.h"
#include "lib/co/sleep.h"
#include "lib/write_log/let_go.h"
#include "lib/write_log/logged_store.h"

namespace ballast::write_log {

// --- because it failed ---------------------------------------------------------------------------

void LoggedStore::begin_to_pass() {
  if (!std::exchange(going_past_, true)) {
    tasks_.spawn("past the log", go_past());
  }
}

co::Task<IoStatus> LoggedStore::wait_until_past(co::CancelToken cancel) {
  begin_to_pass();
  const bool over = co_await past_.wait(cancel);
  co_return over ? past_status_ : IoStatus::cancelled;
}

co::Task<void> LoggedStore::go_past() {
  log(LogLevel::error,
      "the write log {} failed: Ballast writes what it has to {}; meanwhile changes of the LUN "
      "wait",
      log_name_, store_name_);
  const IoStatus status = co_await log_->drain();
  if (!ok(status)) {
    const bool damaged = log_->state() == WriteLog::State::damaged;
    if (damaged) {
      log(LogLevel::error,
          "the write log {} cannot be read: what it has does not get to {}; changes of the LUN "
          "fail",
          log_name_, store_name_);
    }
    end_past(damaged ? IoStatus::medium_error : IoStatus::not_ready);
    co_return;
  }
  const bool gone = co_await let_go();
  if (gone) {
    log(LogLevel::warning, "{} has all that was in the write log {}, and works without it now",
        store_name_, log_name_);
  }
  end_past(gone ? IoStatus::ok : IoStatus::not_ready);
}

// Copies the label, for which memory may run out.
co::Task<Result<void>> LoggedStore::put_label() {
  const Result<void> written = co_await store_->write_label(label_);
  co_return written;
}

co::Task<bool> LoggedStore::let_go() {
  if (sabotage_.keeps_failed_log) {
    co_return true;
  }
  label_ = write_log::let_go(std::move(label_));
  Nanoseconds wait = Reaper::first_wait;
  for (;;) {
    const Result<void> written = co_await put_label();
    if (written.ok()) {
      co_return true;
    }
    if (wait == Reaper::first_wait) {
      log(LogLevel::error,
          "{} still names its write log: {}; Ballast tries again, and changes of the LUN wait",
          store_name_, written.error().message);
    }
    const bool goes_on = co_await co::sleep_for(executor_, wait, stop_.token());
    if (!goes_on) {
      co_return false;
    }
    wait = std::min(2 * wait, Reaper::longest_wait);
  }
}

void LoggedStore::end_past(IoStatus status) {
  if (!past_.is_set()) {
    past_status_ = status;
    past_.set();
    let_held_go_on();
  }
}

// --- because an operator wants that --------------------------------------------------------------

void LoggedStore::want_to_let_go() {
  if (!works()) {
    begin_to_pass();  // perhaps no change has noticed it yet
    return;
  }
  wanted_until_ = executor_.now() + wish_lasts;
  if (!leaving_ && uses_log()) {
    leaving_ = true;
    tasks_.spawn("to let the log go", leave_log());
  }
  log_->empty_until(wanted_until_);
}

co::Task<void> LoggedStore::leave_log() {
  log(LogLevel::info, "{} is to let its write log {} go: first it gets what is in there",
      store_name_, log_name_);
  Nanoseconds hold = first_hold;
  bool gone = false;
  // Each round leaves half of what it found, or what fits in one batch of the reaper.
  for (unsigned small_rounds = 0; !gone && stays_to_leave();) {
    const IoStatus status = co_await log_->drain();
    if (!ok(status)) {
      break;
    }
    small_rounds = log_->fits_batch() ? small_rounds + 1 : 0;
    if (stays_to_leave() && (is_nearly_empty() || small_rounds >= enough_small_rounds)) {
      hold_until_ = executor_.now() + hold;
      gone = co_await cut_over();
      hold = std::min(2 * hold, longest_hold);
    }
  }
  if (!gone && uses_log()) {
    log(LogLevel::info, "{} keeps its write log {}: nobody wants it to go any more", store_name_,
        log_name_);
  }
  leaving_ = false;
}

bool LoggedStore::is_nearly_empty() const {
  constexpr Nanoseconds soon = std::chrono::seconds{1};
  const std::optional<Nanoseconds> time = log_->time_to_drain();
  return log_->is_drained() || (time.has_value() && *time <= soon);
}

co::Task<bool> LoggedStore::cut_over() {
  const std::uint64_t loggings = loggings_;
  (void)co_await none_logging_.wait_until(hold_until_);
  IoStatus status = logging_ == 0 ? IoStatus::ok : IoStatus::not_ready;
  if (ok(status) && stays_to_leave() && !sabotage_.lets_go_too_early) {
    status = co_await log_->drain();
  }
  // Nothing has got into the log since, however long that took.
  const bool nothing_new = loggings == loggings_ && logging_ == 0;
  const bool empty = ok(status) && (nothing_new || sabotage_.log_takes_late);
  if (!empty || !stays_to_leave()) {
    hold_until_ = {};
    let_held_go_on();
    co_return false;
  }
  BALLAST_ASSERT(log_->is_drained() || sabotage_.lets_go_too_early || sabotage_.log_takes_late);
  going_past_ = true;
  const bool gone = co_await let_go();
  if (gone) {
    let_go_ = true;
    log(LogLevel::info, "{} has let its write log {} go, and works without it now", store_name_,
        log_name_);
  }
  end_past(gone ? IoStatus::ok : IoStatus::not_ready);
  if (gone) {
    co_await close_log();
  }
  co_return gone;
}

}  // namespace ballast::write_log

// SPDX-License-Identifier: Apache-2.0
#include "lib/watch/watchdog.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <string_view>
#include <thread>
#include <utility>

#include "lib/base/detached_thread.h"
#include "lib/base/log.h"
#include "lib/co/anatomy.h"

namespace ballast::watch {
namespace {

double seconds(Nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

// "file.cpp:123"; empty if there is no place.
std::string place_of(const co::Site& site) {
  if (site.line() == 0) {
    return {};
  }
  const std::string_view path{site.file_name()};
  return fmt::format("{}:{}", path.substr(path.rfind('/') + 1), site.line());
}

std::string in_words(const StuckThread& stuck) {
  return fmt::format("thread {} ({}, state {}) has been for {:.1f} s in {}{}{}", stuck.thread,
                     stuck.thread_name, stuck.state, seconds(stuck.for_how_long), stuck.what,
                     stuck.kernel_place.empty() ? "" : "; in the kernel: ", stuck.kernel_place);
}

void add_kernel_view(StuckThread& stuck) {
  if (std::optional<ThreadState> state = thread_state(stuck.thread)) {
    stuck.thread_name = std::move(state->name);
    stuck.state = state->state;
  }
  stuck.kernel_place = kernel_place(stuck.thread);
}

}  // namespace

// --- one LUN

Watchdog::Lun::Lun(Watchdog& watchdog, const std::string& name, const co::Executor& executor)
    : watchdog_{watchdog}, name_{name}, pulse_{executor.pulse()} {
  const std::lock_guard lock{watchdog_.mutex_};
  watchdog_.luns_.push_back(this);
  watchdog_.changed_.notify_all();
}

Watchdog::Lun::~Lun() {
  const std::lock_guard lock{watchdog_.mutex_};
  std::erase(watchdog_.luns_, this);
}

std::optional<StuckThread> Watchdog::Lun::stuck(Nanoseconds at_least) const {
  const std::lock_guard lock{watchdog_.mutex_};
  const TimePoint now = watchdog_.clock_.now();
  std::optional<StuckThread> driver = stuck_driver(now);
  if (driver.has_value() && driver->for_how_long >= at_least) {
    add_kernel_view(*driver);
    return driver;
  }
  if (command_.thread == 0) {
    return std::nullopt;
  }
  return stuck_command_thread(now);
}

// Without what the kernel says. Nothing if no turn is under way.
std::optional<StuckThread> Watchdog::Lun::stuck_driver(TimePoint now) const {
  const std::optional<co::Pulse::Reading> turn = pulse_.read();
  if (!turn.has_value()) {
    return std::nullopt;
  }
  StuckThread stuck{
      .lun = name_, .for_how_long = now - turn->since, .thread = turn->thread, .drives = true};
  if (turn->task != nullptr) {
    stuck.task = turn->task;
    stuck.where = place_of(turn->last_wait);
    stuck.what = fmt::format("the coroutine \"{}\", ", stuck.task);
    stuck.what +=
        stuck.where.empty() ? "which has not waited yet" : "whose last wait was at " + stuck.where;
  } else {
    stuck.what = turn->ends_tick ? "the end of a tick, which submits and answers"
                                 : "messages, completions and timers";
  }
  return stuck;
}

StuckThread Watchdog::Lun::stuck_command_thread(TimePoint now) const {
  StuckThread stuck{.lun = name_,
                    .for_how_long = now - command_.since,
                    .thread = command_.thread,
                    .what = "the command thread, while another thread drives the LUN"};
  add_kernel_view(stuck);
  return stuck;
}

void Watchdog::Lun::look(TimePoint now) {
  look_at_driver(now);
  look_at_command_thread(now);
}

void Watchdog::Lun::look_at_driver(TimePoint now) {
  const std::optional<co::Pulse::Reading> turn = pulse_.read();
  if (driver_.thread != 0 && (!turn.has_value() || turn->since != driver_.since)) {
    end(driver_, now);
  }
  if (driver_.thread != 0 || !turn.has_value() || now - turn->since < patience) {
    return;
  }
  if (std::optional<StuckThread> stuck = stuck_driver(now)) {
    add_kernel_view(*stuck);
    begin(driver_, *stuck, turn->since);
  }
}

// A thread that answers a flood of commands may be found in state D at each look, and go on in
// between: it is stuck only if it has not changed to another thread since.
void Watchdog::Lun::look_at_command_thread(TimePoint now) {
  const pid_t thread = command_thread_.load(std::memory_order_relaxed);
  const std::optional<ThreadState> state = thread != 0 ? thread_state(thread) : std::nullopt;
  const bool unkillable = state.has_value() && state->state == 'D' && thread != driver_.thread;
  if (!unkillable || switches_ != state->switches) {
    unkillable_since_ = now;
    if (command_.thread != 0) {
      end(command_, now);
    }
  }
  switches_ = unkillable ? std::optional{state->switches} : std::nullopt;
  if (!unkillable || command_.thread != 0 || now - unkillable_since_ < patience) {
    return;
  }
  command_ = Case{.thread = thread, .since = unkillable_since_};
  begin(command_, stuck_command_thread(now), unkillable_since_);
}

void Watchdog::Lun::begin(Case& of, const StuckThread& stuck, TimePoint since) {
  of = Case{.thread = stuck.thread, .since = since};
  times_.fetch_add(1, std::memory_order_relaxed);
  log(LogLevel::error, "{}: stuck: {}; {}", name_, in_words(stuck),
      stuck.drives ? "the LUN answers nothing until it goes on"
                   : "the LUN takes no new commands until it goes on");
}

void Watchdog::Lun::end(Case& of, TimePoint now) {
  log(LogLevel::warning, "{}: thread {} goes on: it was stuck for {:.1f} s", name_, of.thread,
      seconds(now - of.since));
  of = Case{};
}

// --- all of them

void Watchdog::look() {
  const std::lock_guard lock{mutex_};
  const TimePoint now = clock_.now();
  co::note_time(now);
  for (Lun* const lun : luns_) {
    lun->look(now);
  }
}

bool Watchdog::may_feed() {
  const std::lock_guard lock{mutex_};
  const auto stuck = std::ranges::find_if(luns_, &Lun::driver_is_stuck);
  if (stuck == luns_.end()) {
    unkillable_.forget();
    withheld_ = fed_all_the_same_ = false;
    return true;
  }
  const pid_t unkillable = unkillable_.look();
  if (unkillable != 0) {
    if (!std::exchange(fed_all_the_same_, true)) {
      log(LogLevel::warning,
          "{}: the service manager is not asked to start the daemon anew: thread {} sleeps in the "
          "kernel, and until it goes on no other daemon could take the LUNs over",
          (*stuck)->name_, unkillable);
    }
    return true;
  }
  if (!std::exchange(withheld_, true)) {
    log(LogLevel::error,
        "{}: is stuck, so the service manager hears no more that the daemon is well, and will "
        "start "
        "it anew (WatchdogSec)",
        (*stuck)->name_);
  }
  return false;
}

void Watchdog::feed() {
  const int error = service_->feed();
  if (error != 0 && std::exchange(feed_error_, error) != error) {
    log(LogLevel::error,
        "cannot tell the service manager that the daemon is well ({}): {}; it ends the daemon if "
        "this lasts (WatchdogSec)",
        service_->socket(), std::strerror(error));
  }
}

bool Watchdog::start(std::optional<ServiceWatchdog> service) {
  service_ = std::move(service);
  return start_detached(&Watchdog::entry, this);
}

void* Watchdog::entry(void* self) {
  (void)pthread_setname_np(pthread_self(), "ballast/watch");
  static_cast<Watchdog*>(self)->run();
}

void Watchdog::run() {
  const auto rest = std::min(interval, service_ ? service_->limit() / 3 : interval);
  for (;;) {
    {
      std::unique_lock lock{mutex_};
      changed_.wait(lock, [this] { return !luns_.empty() || service_.has_value(); });
    }
    std::this_thread::sleep_for(std::max<Nanoseconds>(rest, std::chrono::seconds{1}));
    bool well = true;
    try {
      look();
      well = !service_.has_value() || may_feed();
    } catch (const std::bad_alloc&) {
      // The next look may have more memory.
    }
    if (service_.has_value() && well) {
      feed();
    }
  }
}

}  // namespace ballast::watch

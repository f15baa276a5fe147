// SPDX-License-Identifier: Apache-2.0
#include "lib/io/loop.h"

#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "lib/base/assert.h"

namespace ballast::io {
namespace {

constexpr TimePoint past{Nanoseconds::min()};

void count(std::atomic<std::uint64_t>& counter) {
  // One writer at a time (the baton): no need for an atomic addition.
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void drain(int event_fd) {
  std::uint64_t value = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_fd, &value, sizeof value);
}

// Until `at`, which `never` means for ever. Returns when a descriptor is ready, the time is over or
// a signal came.
void poll_until(std::span<pollfd> fds, TimePoint at, TimePoint now) {
  timespec timeout{};
  if (at > now) {
    const auto ns = (at - now).count();
    timeout.tv_sec = ns / 1'000'000'000;
    timeout.tv_nsec = ns % 1'000'000'000;
  }
  const bool for_ever = at == co::Timers::never;
  if (::ppoll(fds.data(), fds.size(), for_ever ? nullptr : &timeout, nullptr) < 0) {
    for (pollfd& fd : fds) {
      fd.revents = 0;
    }
  }
}

}  // namespace

Loop::Loop(co::Executor& executor, const co::Clock& clock, Uring* ring, Nanoseconds longest_sleep)
    : executor_{executor},
      clock_{clock},
      ring_{ring},
      longest_sleep_{longest_sleep},
      sleeps_until_{past} {}

Loop::~Loop() {
  stop();
  BALLAST_ASSERT(baton_.load(std::memory_order_relaxed) == free);
}

void Loop::set_under_way(UnderWay asks, void* context) {
  under_way_ = asks;
  under_way_context_ = context;
}

// --- the baton
// ------------------------------------------------------------------------------------

bool Loop::try_take() {
  std::uint32_t expected = free;
  return baton_.compare_exchange_strong(expected, held, std::memory_order_acquire,
                                        std::memory_order_relaxed);
}

bool Loop::try_take_or_want() {
  std::uint32_t state = baton_.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint32_t next = state == free ? held : wanted;
    if (baton_.compare_exchange_weak(state, next, std::memory_order_acq_rel,
                                     std::memory_order_relaxed)) {
      return state == free;
    }
  }
}

void Loop::take() {
  takers_.fetch_add(1, std::memory_order_seq_cst);
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written =
      ::write(executor_.mailbox().linger_fd(), &one, sizeof one);
  while (!try_take()) {
    const std::uint32_t state = baton_.load(std::memory_order_seq_cst);
    if (state != free) {
      baton_.wait(state, std::memory_order_seq_cst);
    }
  }
  takers_.fetch_sub(1, std::memory_order_seq_cst);
}

// Whether somebody found the baton taken and marked it.
bool Loop::give_back() {
  const std::uint32_t state = baton_.exchange(free, std::memory_order_seq_cst);
  BALLAST_ASSERT(state != free);
  if (takers_.load(std::memory_order_seq_cst) > 0) {
    baton_.notify_all();
  }
  return state == wanted;
}

// --- what the holder does
// -------------------------------------------------------------------------

void Loop::disarm() {
  executor_.mailbox().end_sleep();
  if (ring_ != nullptr) {
    ring_->set_notify(false);
  }
}

// Points every wake to the reactor. False: there is work already.
bool Loop::arm() {
  co::Mailbox& mailbox = executor_.mailbox();
  if (!mailbox.prepare_sleep(mailbox.fd())) {
    return false;
  }
  if (ring_ != nullptr) {
    ring_->set_notify(true);
  }
  return !has_work();
}

// Points the mailbox to the lingerer, who polls the ring itself.
bool Loop::arm_for_linger() {
  co::Mailbox& mailbox = executor_.mailbox();
  return mailbox.prepare_sleep(mailbox.linger_fd()) && executor_.idle();
}

bool Loop::has_work() const {
  return !executor_.idle() || (ring_ != nullptr && ring_->completions_waiting());
}

bool Loop::under_way() const {
  return (ring_ != nullptr && ring_->busy()) ||
         (under_way_ != nullptr && under_way_(under_way_context_));
}

// Rounds until nothing is ready; `rounds` is what is left of the turn's.
void Loop::drive_held(unsigned& rounds) {
  do {
    if (ring_ != nullptr) {
      (void)ring_->reap();
    }
    (void)executor_.tick();
    count(counters_.rounds);
    --rounds;
  } while (rounds > 0 && has_work());
}

void Loop::begin_turn(const co::Message* first) {
  executor_.begin_turn();
  disarm();
  count(counters_.drives);
  if (first == nullptr) {
    return;
  }
  if (!executor_.mailbox().empty()) {
    (void)executor_.tick();  // what was posted before `first` runs before it
  }
  if (first->run != nullptr) {
    first->run(first->context, first->value);
  } else {
    (void)first->waker.wake(first->value, first->site);
  }
}

// Steps 1 to 5 of giving the baton back.
void Loop::finish_turn(unsigned rounds) {
  do {
    const TimePoint due = settle(rounds);
    due_.store(due, std::memory_order_seq_cst);
    executor_.end_turn();
    const bool was_wanted = give_back();
    if (due < sleeps_until_.load(std::memory_order_seq_cst)) {
      kick_reactor();
    }
    if (!was_wanted) {
      return;
    }
  } while (try_take());
}

// Points every wake to the reactor, driving what is found meanwhile; when the reactor must be awake
// at the latest.
TimePoint Loop::settle(unsigned& rounds) {
  bool quiet = arm();
  while (!quiet && rounds > 0) {
    disarm();
    drive_held(rounds);
    quiet = arm();
  }
  if (!quiet) {
    disarm();
    return past;
  }
  return reactor_due();
}

TimePoint Loop::net(TimePoint now) const {
  return longest_sleep_ == Nanoseconds::max() ? co::Timers::never : now + longest_sleep_;
}

TimePoint Loop::reactor_due() {
  TimePoint due = executor_.next_timer();
  if (executor_.registry().size() > 0 || under_way()) {
    due = std::min(due, net(executor_.now()));
  }
  if (ring_ != nullptr && ring_->submission_stalled()) {
    due = std::min(due, executor_.now() + submit_retry);
  }
  return due;
}

void Loop::kick_reactor() {
  sleeps_until_.store(past, std::memory_order_seq_cst);
  counters_.reactor_kicks.fetch_add(1, std::memory_order_relaxed);
  executor_.mailbox().kick();
}

// --- the command thread
// ---------------------------------------------------------------------------

bool Loop::post_if_given(const co::Message* first) {
  counters_.contended.fetch_add(1, std::memory_order_relaxed);
  if (first != nullptr) {
    executor_.post(*first);
  }
  return false;
}

bool Loop::drive(const co::Message* first) {
  if (!try_take()) {
    return post_if_given(first);
  }
  begin_turn(first);
  unsigned rounds = rounds_per_turn;
  drive_held(rounds);
  finish_turn(rounds);
  return true;
}

LingerEnd Loop::linger(int command_fd, Nanoseconds limit, const co::Message* first) {
  if (!try_take()) {
    post_if_given(first);
    return LingerEnd::busy;
  }
  begin_turn(first);
  count(counters_.lingers);
  unsigned rounds = rounds_per_turn;
  drive_held(rounds);
  const TimePoint until = executor_.now() + limit;
  LingerEnd end = LingerEnd::limit;
  while (takers_.load(std::memory_order_seq_cst) == 0) {
    if (!under_way() && !has_work()) {
      end = LingerEnd::idle;
      break;
    }
    if (executor_.now() >= until) {
      break;
    }
    const bool commands = linger_sleep(command_fd, until);
    rounds = rounds_per_turn;
    drive_held(rounds);
    if (commands) {
      end = LingerEnd::commands;
      break;
    }
  }
  finish_turn(rounds);
  return end;
}

// Sleeps as the sleeper, at most until `until`; not at all when there is work. Returns whether
// `command_fd` is readable.
bool Loop::linger_sleep(int command_fd, TimePoint until) {
  if (poll_worth_.worth_it() && poll_briefly()) {
    executor_.begin_turn();
    return false;
  }
  count(counters_.linger_sleeps);
  co::Mailbox& mailbox = executor_.mailbox();
  pollfd fds[] = {
      {.fd = mailbox.linger_fd(), .events = POLLIN, .revents = 0},
      {.fd = ring_ != nullptr ? ring_->fd() : -1, .events = POLLIN, .revents = 0},
      {.fd = command_fd, .events = POLLIN, .revents = 0},
      {.fd = ring_ != nullptr ? ring_->store_fd() : -1, .events = POLLIN, .revents = 0},
  };
  TimePoint at = std::min(until, executor_.next_timer());
  if (ring_ != nullptr && ring_->submission_stalled()) {
    at = std::min(at, executor_.now() + submit_retry);
  }
  if (!arm_for_linger()) {
    at = past;
  }
  poll_until(fds, at, executor_.now());
  mailbox.end_sleep();
  executor_.begin_turn();
  if (fds[0].revents != 0) {
    drain(mailbox.linger_fd());
  }
  return fds[2].revents != 0;
}

// Asks for completions again and again, for poll_limit at most, until there are a few of what is
// under way. Whether there are any.
bool Loop::poll_briefly() {
  if (ring_ == nullptr || !ring_->busy() || ring_->in_flight() > poll_most || has_work()) {
    return false;
  }
  count(counters_.polls);
  const TimePoint end = clock_.now() + poll_limit;
  // One answer alone costs as much to begin as a few together.
  const std::size_t enough = 1 + ring_->in_flight() / 8;
  std::size_t ready = 0;
  do {
    ready = ring_->fetch_completions();
  } while (ready < enough && executor_.idle() && clock_.now() < end);
  const bool found = ready > 0;
  poll_worth_.was(found);
  if (found) {
    count(counters_.poll_hits);
  }
  return found;
}

void Loop::run_until(bool (*done)(void* context), void* context) {
  take();
  begin_turn(nullptr);
  unsigned rounds = rounds_per_turn;
  drive_held(rounds);
  while (!done(context)) {
    (void)linger_sleep(-1, net(executor_.now()));
    rounds = rounds_per_turn;
    drive_held(rounds);
  }
  finish_turn(rounds);
}

// --- the reactor thread
// ---------------------------------------------------------------------------

Result<void> Loop::start() {
  BALLAST_ASSERT(!running_);
  stopping_.store(false, std::memory_order_relaxed);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread_, nullptr, &Loop::entry, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    return Error{error, fmt::format("cannot start the reactor thread of {}: {}; raise TasksMax or "
                                    "LimitNPROC of the service",
                                    executor_.name(), std::strerror(error))};
  }
  const std::string name = std::string{"ballast/"}.append(executor_.name()).substr(0, 15);
  (void)pthread_setname_np(thread_, name.c_str());
  running_ = true;
  return {};
}

void Loop::stop() {
  if (!running_) {
    return;
  }
  stopping_.store(true, std::memory_order_seq_cst);
  executor_.mailbox().kick();
  pthread_join(thread_, nullptr);
  running_ = false;
  take();
  sleeps_until_.store(past, std::memory_order_seq_cst);  // no more kicks for it
  finish_turn(0);
}

void* Loop::entry(void* self) {
  static_cast<Loop*>(self)->reactor();
  return nullptr;
}

// One turn of the reactor. Returns until when it may sleep.
TimePoint Loop::reactor_turn(bool was_idle) {
  // If somebody else drives now: said before the baton is asked for, see step 5.
  const TimePoint now = clock_.now();
  const TimePoint known = due_.load(std::memory_order_seq_cst);
  const TimePoint then = known > now ? std::min(known, net(now)) : net(now);
  sleeps_until_.store(then, std::memory_order_seq_cst);
  if (!try_take_or_want()) {
    return then;
  }
  begin_turn(nullptr);
  unsigned rounds = rounds_per_turn;
  drive_held(rounds);
  // Past: others get a chance for the baton, and we come again at once.
  TimePoint due = settle(rounds);
  if (!was_idle) {
    // It sleeps for ever only after a quiet second: the next command, whose turn would find no net
    // under it, need not kick it.
    due = std::min(due, net(executor_.now()));
  }
  due_.store(due, std::memory_order_seq_cst);
  sleeps_until_.store(due, std::memory_order_seq_cst);
  executor_.end_turn();
  (void)give_back();
  return due;
}

void Loop::reactor() {
  const int fd = executor_.mailbox().fd();
  bool was_idle = true;
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const TimePoint wake_at = reactor_turn(was_idle);
    if (wake_at == past) {
      was_idle = false;
      continue;
    }
    pollfd fds[] = {{.fd = fd, .events = POLLIN, .revents = 0}};
    poll_until(fds, wake_at, clock_.now());
    counters_.reactor_wakes.fetch_add(1, std::memory_order_relaxed);
    was_idle = fds[0].revents == 0;
    if (!was_idle) {
      drain(fd);
    }
  }
}

LoopStats Loop::stats() const {
  const auto value = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  return LoopStats{.drives = value(counters_.drives),
                   .rounds = value(counters_.rounds),
                   .lingers = value(counters_.lingers),
                   .linger_sleeps = value(counters_.linger_sleeps),
                   .polls = value(counters_.polls),
                   .poll_hits = value(counters_.poll_hits),
                   .reactor_wakes = value(counters_.reactor_wakes),
                   .reactor_kicks = value(counters_.reactor_kicks),
                   .contended = value(counters_.contended)};
}

}  // namespace ballast::io

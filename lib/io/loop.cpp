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

void count(std::atomic<std::uint64_t>& counter) {
  // Only the holder of the baton writes, so this needs no atomic addition.
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void drain(int event_fd) {
  std::uint64_t value = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_fd, &value, sizeof value);
}

// Sleeps until a descriptor is ready, the time is `at` (co::Timers::never: no limit), or a signal
// comes.
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
    : executor_{executor}, clock_{clock}, ring_{ring}, longest_sleep_{longest_sleep} {}

Loop::~Loop() {
  stop();
  BALLAST_ASSERT(baton_.is_free());
}

void Loop::set_under_way(UnderWay asks, void* context) {
  under_way_ = asks;
  under_way_context_ = context;
}

// --- what the holder does

bool Loop::wake_reactor_for_messages() {
  co::Mailbox& mailbox = executor_.mailbox();
  return mailbox.prepare_sleep(mailbox.fd());
}

void Loop::wake_reactor_for_completions() {
  if (ring_ != nullptr) {
    ring_->set_notify(true);
  }
}

void Loop::count_as_awake() {
  executor_.mailbox().end_sleep();
  if (ring_ != nullptr) {
    ring_->set_notify(false);
  }
}

bool Loop::has_work() const {
  return !executor_.idle() || (ring_ != nullptr && ring_->completions_waiting());
}

bool Loop::under_way() const {
  return (ring_ != nullptr && ring_->busy()) ||
         (under_way_ != nullptr && under_way_(under_way_context_));
}

// Runs rounds until nothing is ready. `rounds`: how many are left in this turn.
void Loop::drive_rounds(unsigned& rounds) {
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
  count_as_awake();
  count(counters_.drives);
  if (first == nullptr) {
    return;
  }
  if (!executor_.mailbox().empty()) {
    (void)executor_.tick();  // messages posted before `first` run before it
  }
  if (first->run != nullptr) {
    first->run(first->context, first->value);
  } else {
    (void)first->waker.wake(first->value, first->site);
  }
}

TimePoint Loop::net(TimePoint now) const {
  return longest_sleep_ == Nanoseconds::max() ? co::Timers::never : now + longest_sleep_;
}

TimePoint Loop::reactor_due() const {
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
  counters_.reactor_kicks.fetch_add(1, std::memory_order_relaxed);
  executor_.mailbox().kick();
}

// Points messages to the lingerer, which polls the ring itself. False: there is work already.
bool Loop::prepare_linger() {
  co::Mailbox& mailbox = executor_.mailbox();
  return mailbox.prepare_sleep(mailbox.linger_fd()) && executor_.idle();
}

void Loop::take() {
  baton_.take([this] {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written =
        ::write(executor_.mailbox().linger_fd(), &one, sizeof one);
  });
}

// --- the command thread

bool Loop::post_if_given(const co::Message* first) {
  counters_.contended.fetch_add(1, std::memory_order_relaxed);
  if (first != nullptr) {
    executor_.post(*first);
  }
  return false;
}

bool Loop::drive(const co::Message* first) {
  if (!baton_.try_take()) {
    return post_if_given(first);
  }
  begin_turn(first);
  unsigned rounds = rounds_per_turn;
  drive_rounds(rounds);
  baton_.give_back(*this, rounds);
  return true;
}

LingerEnd Loop::linger(const CommandSource& commands, Nanoseconds limit, const co::Message* first) {
  if (!baton_.try_take()) {
    post_if_given(first);
    return LingerEnd::busy;
  }
  begin_turn(first);
  count(counters_.lingers);
  unsigned rounds = rounds_per_turn;
  drive_rounds(rounds);
  const TimePoint until = executor_.now() + limit;
  LingerEnd end = LingerEnd::limit;
  while (!baton_.is_asked_for()) {
    if (!under_way() && !has_work()) {
      end = LingerEnd::idle;
      break;
    }
    if (executor_.now() >= until) {
      break;
    }
    const bool have_come = linger_sleep(commands, until);
    rounds = rounds_per_turn;
    drive_rounds(rounds);
    if (have_come) {
      end = LingerEnd::commands;
      break;
    }
  }
  baton_.give_back(*this, rounds);
  return end;
}

// Sleeps in the reactor's place, at most until `until`, and not at all when there is work. Returns
// whether commands have come.
bool Loop::linger_sleep(const CommandSource& commands, TimePoint until) {
  if (poll_worth_.worth_it() && poll_briefly(commands)) {
    executor_.begin_turn();
    return commands.waiting != nullptr && commands.waiting(commands.context);
  }
  count(counters_.linger_sleeps);
  co::Mailbox& mailbox = executor_.mailbox();
  pollfd fds[] = {
      {.fd = mailbox.linger_fd(), .events = POLLIN, .revents = 0},
      {.fd = ring_ != nullptr ? ring_->fd() : -1, .events = POLLIN, .revents = 0},
      {.fd = commands.fd, .events = POLLIN, .revents = 0},
      {.fd = ring_ != nullptr ? ring_->store_fd(0) : -1, .events = POLLIN, .revents = 0},
      {.fd = ring_ != nullptr ? ring_->store_fd(1) : -1, .events = POLLIN, .revents = 0},
  };
  TimePoint at = std::min(until, executor_.next_timer());
  if (ring_ != nullptr && ring_->submission_stalled()) {
    at = std::min(at, executor_.now() + submit_retry);
  }
  if (!prepare_linger()) {
    at = Baton::past;
  }
  poll_until(fds, at, executor_.now());
  mailbox.end_sleep();
  executor_.begin_turn();
  if (fds[0].revents != 0) {
    drain(mailbox.linger_fd());
  }
  return fds[2].revents != 0;
}

// Polls for completions and, where the caller wants it, for commands, until some of the operations
// in flight (`enough`) have completed. Returns whether there is anything.
bool Loop::poll_briefly(const CommandSource& commands) {
  if (ring_ == nullptr || !ring_->busy() || ring_->in_flight() > poll_most || has_work()) {
    return false;
  }
  count(counters_.polls);
  const TimePoint begun = clock_.now();
  TimePoint now = begun;
  // Beginning to answer costs as much for one command as for a few together.
  const std::size_t enough = 1 + ring_->in_flight() / 8;
  std::size_t ready = 0;
  bool have_come = false;
  do {
    ready = ring_->fetch_completions();
    have_come = commands.waiting != nullptr && commands.waiting(commands.context);
    now = clock_.now();
  } while (ready < enough && !have_come && executor_.idle() && now - begun < commands.poll_limit);
  polled_.overran |= now - begun > commands.poll_limit + poll_overrun;
  const bool found = ready > 0 || have_come;
  poll_worth_.was(found);
  if (found) {
    count(counters_.poll_hits);
  } else {
    polled_.in_vain += now - begun;
  }
  return found;
}

void Loop::run_until(bool (*done)(void* context), void* context) {
  take();
  begin_turn(nullptr);
  unsigned rounds = rounds_per_turn;
  drive_rounds(rounds);
  while (!done(context)) {
    (void)linger_sleep(CommandSource{}, net(executor_.now()));
    rounds = rounds_per_turn;
    drive_rounds(rounds);
  }
  baton_.give_back(*this, rounds);
}

// --- the reactor thread

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
  baton_.reactor_is_awake();  // so that no thread kicks it any more
  baton_.give_back(*this, 0);
}

void* Loop::entry(void* self) {
  static_cast<Loop*>(self)->reactor();
  return nullptr;
}

// One turn of the reactor. Returns until when it may sleep.
TimePoint Loop::reactor_turn(bool was_idle) {
  const TimePoint now = clock_.now();
  if (const std::optional<TimePoint> until = baton_.take_or_sleep(now, net(now))) {
    return *until;
  }
  begin_turn(nullptr);
  unsigned rounds = rounds_per_turn;
  drive_rounds(rounds);
  // A thread that gives the baton back must kick a reactor that sleeps longer than longest_sleep.
  // So the reactor sleeps without a limit only after a whole longest_sleep in which nothing woke
  // it. Until then commands need no kick.
  return baton_.give_back_and_sleep(*this, rounds,
                                    was_idle ? co::Timers::never : net(executor_.now()));
}

void Loop::reactor() {
  const int fd = executor_.mailbox().fd();
  bool was_idle = true;
  while (!stopping_.load(std::memory_order_seq_cst)) {
    const TimePoint wake_at = reactor_turn(was_idle);
    if (wake_at == Baton::past) {
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

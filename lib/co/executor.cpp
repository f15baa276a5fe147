// SPDX-License-Identifier: Apache-2.0
#include "lib/co/executor.h"

#include <algorithm>

#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"

namespace ballast::co {
namespace {

constexpr std::size_t records_per_slab = 64;
// How many coroutines one tick runs, and how far one chain of transfers goes, before completions,
// timers and the mailbox get their turn.
constexpr std::size_t resumes_per_tick = 4096;
constexpr std::size_t transfers_per_run = 1024;

void log_refused_wake(void* context, const RefusedWake& refused) {
  log(LogLevel::error,
      "{}: refused a second wake from {}:{}: {} wait \"{}\" at {}:{} was woken by {}:{} already",
      static_cast<const char*>(context), refused.second_wake.file_name(),
      refused.second_wake.line(),
      refused.slot_reused ? "an older wait; its place now serves" : "the",
      refused.what != nullptr ? refused.what : "?", refused.wait_site.file_name(),
      refused.wait_site.line(), refused.first_wake.file_name(), refused.first_wake.line());
}

}  // namespace

Executor::Executor(const char* name, const Clock& clock)
    : name_{name}, clock_{clock}, now_{clock.now()}, reporter_{&log_refused_wake} {
  reporter_context_ = const_cast<char*>(name_);
}

Executor::~Executor() {
  BALLAST_ASSERT(!running_);
  BALLAST_ASSERT(stats_.live_waits == 0);
  BALLAST_ASSERT(hooks_.empty());
}

void Executor::remove_tick_hook(TickHook& hook) {
  BALLAST_ASSERT(std::erase(hooks_, &hook) == 1);
}

void Executor::set_refused_wake_reporter(RefusedWakeReporter reporter, void* context) {
  reporter_ = reporter != nullptr ? reporter : &log_refused_wake;
  reporter_context_ = reporter != nullptr ? context : const_cast<char*>(name_);
}

bool Executor::tick() {
  BALLAST_ASSERT(!running_);  // one driver, and no tick from inside a coroutine
  running_ = true;
  const std::uint64_t resumes_before = stats_.resumes;
  now_ = clock_.now();
  ++stats_.ticks;
  Message message;
  std::size_t messages = 0;
  while (messages < Mailbox::capacity && mailbox_.pop(message)) {
    run_message(message);
    ++messages;
  }
  timers_.fire(now_);
  for (std::size_t i = 0; i < resumes_per_tick && ready_count_ > 0; ++i) {
    WaitRecord* const record = dequeue();
    const std::coroutine_handle<> handle = record->handle;
    record->handle = {};
    if (record->transfer) {
      release_record(record);
    }
    run(handle);
  }
  for (TickHook* hook : hooks_) {
    hook->tick_end();
  }
  running_ = false;
  return messages > 0 || stats_.resumes != resumes_before;
}

void Executor::run_message(const Message& message) {
  if (message.run != nullptr) {
    message.run(message.context, message.value);
  } else {
    (void)message.waker.wake(message.value, message.site);
  }
}

// The only place where a coroutine is entered.
void Executor::run(std::coroutine_handle<> handle) {
  std::size_t transfers = 0;
  while (handle) {
    ++stats_.resumes;
    handle.resume();
    if (finished_ != nullptr) {
      PromiseBase* const promise = std::exchange(finished_, nullptr);
      BALLAST_ASSERT(promise->group_ != nullptr);
      TaskGroup* const group = promise->group_;
      registry_.remove(promise->info_);
      promise->self_.destroy();
      group->finished();
    }
    handle = std::exchange(transfer_, {});
    if (handle && ++transfers == transfers_per_run) {
      start_soon(handle, nullptr);
      handle = {};
    }
  }
}

void Executor::start_soon(std::coroutine_handle<> handle, TaskInfo* task) {
  WaitRecord* const record = acquire_record();
  record->handle = handle;
  record->task = task;
  record->transfer = true;
  record->state = WaitState::queued;
  enqueue(record);
}

WaitRecord* Executor::acquire_record() {
  if (free_records_ == nullptr) {
    slabs_.push_back(std::make_unique<WaitRecord[]>(records_per_slab));
    for (std::size_t i = records_per_slab; i-- > 0;) {
      WaitRecord* const record = &slabs_.back()[i];
      record->executor = this;
      record->next = free_records_;
      free_records_ = record;
    }
  }
  WaitRecord* const record = free_records_;
  free_records_ = record->next;
  record->next = nullptr;
  record->state = WaitState::armed;
  if (++stats_.live_waits > stats_.live_waits_peak) {
    stats_.live_waits_peak = stats_.live_waits;
  }
  return record;
}

void Executor::release_record(WaitRecord* record) {
  BALLAST_ASSERT(record->state != WaitState::free);
  ++record->generation;
  record->state = WaitState::free;
  record->handle = {};
  record->task = nullptr;
  record->transfer = false;
  record->next = free_records_;
  free_records_ = record;
  --stats_.live_waits;
}

bool Executor::wake(WaitRecord* record, std::uint64_t generation, std::int64_t value, Site site) {
#ifndef BALLAST_TEST_WITHOUT_WAKE_GUARD
  if (record->generation != generation || record->state != WaitState::armed) {
    refuse(record, generation, site);
    return false;
  }
#endif
  record->state = WaitState::queued;
  record->value = value;
  record->wake_site = site;
  if (record->handle) {
    enqueue(record);
  }
  return true;
}

void Executor::refuse(const WaitRecord* record, std::uint64_t generation, Site site) {
  ++stats_.refused_wakes;
  const bool reused = record->state == WaitState::free ? record->generation != generation + 1
                                                       : record->generation != generation;
  const RefusedWake refused{.what = record->what,
                            .wait_site = record->wait_site,
                            .first_wake = record->wake_site,
                            .second_wake = site,
                            .slot_reused = reused};
  reporter_(reporter_context_, refused);
}

void Executor::enqueue(WaitRecord* record) {
  record->next = nullptr;
  *ready_tail_ = record;
  ready_tail_ = &record->next;
  ++ready_count_;
}

WaitRecord* Executor::dequeue() {
  WaitRecord** link = &ready_head_;
  if (order_ != nullptr) {
    const std::size_t skip = order_->pick(ready_count_);
    BALLAST_ASSERT(skip < ready_count_);
    for (std::size_t i = 0; i < skip; ++i) {
      link = &(*link)->next;
    }
  }
  WaitRecord* const record = *link;
  *link = record->next;
  if (ready_tail_ == &record->next) {
    ready_tail_ = link;
  }
  --ready_count_;
  return record;
}

}  // namespace ballast::co

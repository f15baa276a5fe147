// SPDX-License-Identifier: Apache-2.0
#include "lib/co/executor.h"

#include <bit>
#include <mutex>
#include <new>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/log.h"
#include "lib/co/live_executors.h"
#include "lib/co/task.h"
#include "lib/co/task_group.h"

namespace ballast::co {
namespace {

constexpr std::size_t records_per_slab = 64;
// So many refused wakes are logged one by one; after that, one at each power of two.
constexpr std::uint64_t refused_wakes_logged = 16;

}  // namespace

Executor::Executor(const char* name, const Clock& clock)
    : name_{name}, clock_{clock}, now_{clock.now()} {
  set_refused_wake_reporter(nullptr, nullptr);
  const std::scoped_lock lock{live_executors_mutex};
  next_live_ = live_executors;
  live_link_ = &live_executors;
  if (next_live_ != nullptr) {
    next_live_->live_link_ = &next_live_;
  }
  live_executors = this;
}

Executor::~Executor() {
  BALLAST_ASSERT(!running_);
  BALLAST_ASSERT(registry_.size() == 0);  // no task lives
  BALLAST_ASSERT(stats_.live_waits == 0);
  BALLAST_ASSERT(hooks_.empty());
  BALLAST_ASSERT(landmarks_ == nullptr);
  const std::scoped_lock lock{live_executors_mutex};
  *live_link_ = next_live_;
  if (next_live_ != nullptr) {
    next_live_->live_link_ = live_link_;
  }
}

const char* Executor::lacks() const {
  if (!mailbox_.is_open()) {
    return "cannot make an event descriptor: raise LimitNOFILE of the service";
  }
  return memory_.is_short() ? "out of memory: raise the memory limit of the service" : nullptr;
}

void Executor::remove_tick_hook(TickHook& hook) {
  BALLAST_ASSERT(!in_hooks_);
  BALLAST_ASSERT(std::erase(hooks_, &hook) == 1);
}

void Executor::set_refused_wake_reporter(RefusedWakeReporter reporter, void* context) {
  reporter_ = reporter != nullptr ? reporter : &log_refused_wake;
  reporter_context_ = reporter != nullptr ? context : this;
}

bool Executor::tick() {
  BALLAST_ASSERT(!running_);  // one driver, and no tick from inside a coroutine
  if (!std::exchange(now_is_fresh_, false)) {
    now_ = clock_.now();
  }
  running_ = true;
  mailbox_.begin_consuming();
  const std::uint64_t resumes_before = stats_.resumes;
  ++stats_.ticks;
  Message message;
  std::size_t messages = 0;
  while (messages < Mailbox::capacity && mailbox_.pop(message)) {
    run_message(message);
    ++messages;
  }
  timers_.fire(now_);
  while (ready_count_ > 0 && stats_.resumes - resumes_before < resumes_per_tick) {
    WaitRecord* const record = dequeue();
    const std::coroutine_handle<> handle = record->handle;
    record->handle = {};
    const TaskInfo* const task = record->task;
    pulse_.runs(task != nullptr ? task->name : "a chain of tasks",
                task != nullptr ? task->wait_site : Site{});
    if (record->transfer) {
      release_record(record);
    }
    run(handle);
  }
  in_hooks_ = true;
  pulse_.ends_tick();
  for (TickHook* hook : hooks_) {
    hook->tick_end();
  }
  in_hooks_ = false;
  pulse_.runs_no_task();
  mailbox_.end_consuming();
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
  std::uint64_t transfers = 0;
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
    const std::span<std::byte> slab =
        memory_.take(records_per_slab * sizeof(WaitRecord), sizeof(WaitRecord));
    for (std::size_t i = slab.size() / sizeof(WaitRecord); i-- > 0;) {
      auto* const record =
          ::new (static_cast<void*>(slab.data() + i * sizeof(WaitRecord))) WaitRecord{};
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
  if (!record->transfer) {
    ++record->generation;  // a transfer has no waker that could come late
  }
  record->state = WaitState::free;
  record->handle = {};
  record->task = nullptr;
  record->transfer = false;
  record->next = free_records_;
  free_records_ = record;
  --stats_.live_waits;
}

bool Executor::wake(WaitRecord* record, [[maybe_unused]] std::uint64_t generation,
                    std::int64_t value, Site site) {
#ifndef BALLAST_TEST_WITHOUT_WAKE_GUARD
  if (record->generation != generation || record->state != WaitState::armed) {
    refuse(record, generation, site);
    return false;
  }
#endif
  record->state = WaitState::queued;
  record->value = value;
  record->story.wake_site = site;
  if (record->handle) {
    enqueue(record);
  }
  return true;
}

void Executor::refuse(const WaitRecord* record, std::uint64_t generation, Site site) {
  ++stats_.refused_wakes;
  const bool serves = record->state != WaitState::free && !record->transfer;
  const std::uint64_t latest = serves ? record->generation : record->generation - 1;
  const WaitStory story = generation == latest       ? record->story
                          : generation + 1 == latest ? record->previous
                                                     : WaitStory{};
  const RefusedWake refused{.what = story.what,
                            .wait_site = story.wait_site,
                            .first_wake = story.wake_site,
                            .second_wake = site,
                            .slot_reused = generation != latest,
                            .now_what = serves ? record->story.what : nullptr,
                            .now_wait_site = serves ? record->story.wait_site : Site{}};
  reporter_(reporter_context_, refused);
}

void Executor::log_refused_wake(void* executor, const RefusedWake& refused) {
  const Executor& self = *static_cast<const Executor*>(executor);
  const std::uint64_t count = self.stats_.refused_wakes;
  if (count > refused_wakes_logged && !std::has_single_bit(count)) {
    return;
  }
  log(LogLevel::error,
      "{}: a bug in Ballast, without harm, please report it: a completion came twice or too late; "
      "refused a wake from {}:{}, {} since start: the wait for \"{}\" at {}:{} was over, woken by "
      "{}:{}; its place now serves \"{}\" at {}:{}",
      self.name_, refused.second_wake.file_name(), refused.second_wake.line(), count,
      refused.what != nullptr ? refused.what : "(forgotten)", refused.wait_site.file_name(),
      refused.wait_site.line(), refused.first_wake.file_name(), refused.first_wake.line(),
      refused.now_what != nullptr ? refused.now_what : "(nothing)",
      refused.now_wait_site.file_name(), refused.now_wait_site.line());
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

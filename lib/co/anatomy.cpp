// SPDX-License-Identifier: Apache-2.0
#include "lib/co/anatomy.h"

#include <atomic>
#include <cstdint>
#include <mutex>

#include "lib/base/version.h"
#include "lib/co/executor.h"
#include "lib/co/landmark.h"
#include "lib/co/live_executors.h"
#include "lib/co/mutex.h"
#include "lib/co/task.h"

namespace ballast::co {

constinit Executor* live_executors = nullptr;
constinit std::mutex live_executors_mutex;

namespace {

constinit std::atomic<std::int64_t> heartbeat{0};

// Where the promise is in a coroutine's frame: behind the two functions that resume and destroy it,
// for promises that need no wider alignment (g++ and clang).
constexpr std::size_t promise = 2 * sizeof(void*);
static_assert(alignof(PromiseBase) <= promise);

// The form of libstdc++'s.
struct Place {
  const char* file;
  const char* function;
  unsigned line;
  unsigned column;
};

}  // namespace

void note_time(TimePoint now) {
  heartbeat.store(now.since_start.count(), std::memory_order_relaxed);
}

Landmark::Landmark(Executor& executor, const anatomy::Type& type, const void* object)
    : type_{&type}, object_{object} {
  const std::scoped_lock lock{live_executors_mutex};
  next_ = executor.landmarks_;
  link_ = &executor.landmarks_;
  if (next_ != nullptr) {
    next_->link_ = &next_;
  }
  executor.landmarks_ = this;
}

Landmark::~Landmark() {
  const std::scoped_lock lock{live_executors_mutex};
  *link_ = next_;
  if (next_ != nullptr) {
    next_->link_ = link_;
  }
}

BALLAST_BEGIN_ANATOMY
constinit const anatomy::Type Anatomy::executor{
    "executor",
    sizeof(Executor),
    {
        {"name", BALLAST_AT(Executor, name_)},
        {"now", BALLAST_AT(Executor, now_)},
        {"next", BALLAST_AT(Executor, next_live_), &executor},
        {"landmarks", BALLAST_AT(Executor, landmarks_), &landmark},
        {"tasks", offsetof(Executor, registry_) + offsetof(Registry, head_), sizeof(TaskInfo*),
         &task},
        {"in_tick", BALLAST_AT(Executor, running_)},
        {"in_turn", BALLAST_AT(Executor, in_turn_)},
        {"refused_wakes", offsetof(Executor, stats_) + offsetof(ExecutorStats, refused_wakes),
         sizeof(ExecutorStats::refused_wakes)},
        {"thread", offsetof(Executor, pulse_) + offsetof(Pulse, thread_), sizeof(Pulse::thread_)},
        {"turn_since", offsetof(Executor, pulse_) + offsetof(Pulse, since_), sizeof(Pulse::since_)},
        {"runs", offsetof(Executor, pulse_) + offsetof(Pulse, task_), sizeof(Pulse::task_)},
        {"last_wait", offsetof(Executor, pulse_) + offsetof(Pulse, last_wait_),
         sizeof(Pulse::last_wait_), &place},
    }};

constinit const anatomy::Type Anatomy::landmark{
    "landmark",
    sizeof(Landmark),
    {
        {"type", BALLAST_AT(Landmark, type_)},
        {"object", BALLAST_AT(Landmark, object_)},
        {"next", BALLAST_AT(Landmark, next_), &landmark},
    }};

constinit const anatomy::Type Anatomy::task{
    "task",
    sizeof(TaskInfo),
    {
        {"name", BALLAST_AT(TaskInfo, name)},
        {"id", BALLAST_AT(TaskInfo, id)},
        {"waits_for", BALLAST_AT(TaskInfo, waits_for)},
        {"wait_site", BALLAST_AT(TaskInfo, wait_site), &place},
        {"since", BALLAST_AT(TaskInfo, since)},
        {"frame", BALLAST_AT(TaskInfo, frame), &coroutine},
        {"next", BALLAST_AT(TaskInfo, next), &task},
    }};

constinit const anatomy::Type Anatomy::coroutine{
    "coroutine",
    promise + sizeof(PromiseBase),
    {
        {"executor", promise + offsetof(PromiseBase, executor_), sizeof(PromiseBase::executor_),
         &executor},
        {"task", promise + offsetof(PromiseBase, info_), sizeof(PromiseBase::info_), &task},
        {"awaiter", promise + offsetof(PromiseBase, continuation_),
         sizeof(PromiseBase::continuation_), &coroutine},
        {"awaited_at", promise + offsetof(PromiseBase, awaited_at_),
         sizeof(PromiseBase::awaited_at_), &place},
    }};

constinit const anatomy::Type Anatomy::place{"place",
                                             sizeof(Place),
                                             {
                                                 {"file", BALLAST_AT(Place, file)},
                                                 {"line", BALLAST_AT(Place, line)},
                                             }};

constinit const anatomy::Type Anatomy::wait{"wait",
                                            sizeof(WaitRecord),
                                            {
                                                {"task", BALLAST_AT(WaitRecord, task), &task},
                                                {"generation", BALLAST_AT(WaitRecord, generation)},
                                            }};

constinit const anatomy::Type Anatomy::mutex{
    "mutex",
    sizeof(Mutex),
    {
        {"what", BALLAST_AT(Mutex, what_)},
        {"locked", BALLAST_AT(Mutex, locked_)},
        {"owner", BALLAST_AT(Mutex, owner_), &task},
        {"locked_at", BALLAST_AT(Mutex, locked_at_), &place},
        {"locked_since", BALLAST_AT(Mutex, locked_since_)},
        {"waiters", offsetof(Mutex, waiters_) + first_of<Mutex::Locker>, sizeof(Mutex::Locker*),
         &locker},
    }};

constinit const anatomy::Type Anatomy::locker{
    "locker",
    sizeof(Mutex::Locker),
    {
        {"task", BALLAST_AT(Mutex::Locker, task_), &task},
        {"next", next_of<Mutex::Locker>, sizeof(Mutex::Locker*), &locker},
    }};
BALLAST_END_ANATOMY

[[gnu::used]] constinit const anatomy::Root Anatomy::root{version, &live_executors,
                                                          &Anatomy::executor, &heartbeat};

}  // namespace ballast::co

// SPDX-License-Identifier: Apache-2.0
#include "lib/co/wait.h"

#include "lib/base/assert.h"
#include "lib/co/executor.h"

namespace ballast::co {

bool Waker::wake(std::int64_t value, Site site) const {
  BALLAST_ASSERT(record_ != nullptr);
  return record_->executor->wake(record_, generation_, value, site);
}

void Waker::post(std::int64_t value, Site site) const {
  BALLAST_ASSERT(record_ != nullptr);
  record_->executor->post(
      Message{.run = nullptr, .context = nullptr, .value = value, .waker = *this, .site = site});
}

Wait::Wait(Executor& executor, const char* what, Site site) : record_{executor.acquire_record()} {
  record_->previous = record_->story;
  record_->story = WaitStory{.what = what, .wait_site = site, .wake_site = {}};
}

Wait::~Wait() {
  if (record_ != nullptr) {
    BALLAST_ASSERT(!record_->handle);  // a suspended coroutine is not destroyed
    record_->executor->release_record(record_);
  }
}

void Wait::suspend(std::coroutine_handle<> handle, TaskInfo* task) noexcept {
  BALLAST_ASSERT(record_->state == WaitState::armed);
  BALLAST_ASSERT(!record_->handle);
  record_->handle = handle;
  record_->task = task;
  if (task != nullptr) {
    task->waits_for = record_->story.what;
    task->wait_site = record_->story.wait_site;
    task->since = record_->executor->now();
    task->frame = handle.address();
  }
}

std::int64_t Wait::await_resume() noexcept {
  BALLAST_ASSERT(record_ != nullptr && record_->state == WaitState::queued);
  const std::int64_t value = record_->value;
  if (record_->task != nullptr) {
    record_->task->waits_for = nullptr;
  }
  record_->executor->release_record(record_);
  record_ = nullptr;
  return value;
}

}  // namespace ballast::co

// SPDX-License-Identifier: Apache-2.0
#include "lib/io/helper_thread.h"

#include <signal.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "lib/base/assert.h"
#include "lib/base/log.h"

namespace ballast::io {

// Lives in the frame of the coroutine that waits.
class HelperThread::Job final : public co::ListNode<Job>, public co::CancelHook {
 public:
  Job(HelperThread& helper, const std::function<int()>& what, co::Waker whom)
      : work{what}, waker{whom}, helper_{helper} {}

  const std::function<int()>& work;
  const co::Waker waker;

 private:
  void cancel_requested() override {
    if (helper_.withdraw(*this)) {
      (void)waker.wake(-ECANCELED);
    }
  }
  HelperThread& helper_;
};

HelperThread::~HelperThread() {
  BALLAST_ASSERT(pending_ == 0);
  if (!started_) {
    return;
  }
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  changed_.notify_one();
  pthread_join(thread_, nullptr);
}

bool HelperThread::start() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread_, nullptr, &HelperThread::entry, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) {
    log(LogLevel::error, "{}: cannot start the helper thread: {}; raise TasksMax of the service",
        executor_.name(), std::strerror(error));
    return false;
  }
  const std::string name = std::string{"helper/"}.append(executor_.name()).substr(0, 15);
  (void)pthread_setname_np(thread_, name.c_str());
  return true;
}

void* HelperThread::entry(void* self) {
  static_cast<HelperThread*>(self)->serve();
  return nullptr;
}

void HelperThread::serve() {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [this] { return !waiting_.empty() || stopping_; });
    Job* const job = waiting_.pop_front();
    if (job == nullptr) {
      return;
    }
    lock.unlock();
    int result = -ENOMEM;
    try {
      result = job->work();
    } catch (const std::bad_alloc&) {
    }
    // The waiter owns the job, which may be gone as soon as the waiter is woken.
    const co::Waker waker = job->waker;
    waker.post(result);
    lock.lock();
  }
}

// Takes the call out of the queue. Returns false if it has begun already.
bool HelperThread::withdraw(Job& job) {
  const std::lock_guard lock{mutex_};
  const bool waits = job.co::ListNode<Job>::linked();
  if (waits) {
    waiting_.remove(job);
  }
  return waits;
}

co::Task<int> HelperThread::run(std::function<int()> work, co::CancelToken cancel) {
  started_ = started_ || start();
  if (!started_) {
    co_return -EBUSY;
  }
  co::Wait wait{executor_, "helper thread"};
  Job job{*this, work, wait.waker()};
  const bool asked = job.hook(cancel);
  if (asked) {
    co_return -ECANCELED;
  }
  ++pending_;
  {
    const std::lock_guard lock{mutex_};
    waiting_.push_back(job);
  }
  changed_.notify_one();
  const std::int64_t result = co_await wait;
  --pending_;
  co_return static_cast<int>(result);
}

}  // namespace ballast::io

// SPDX-License-Identifier: Apache-2.0
#include "lib/base/errand.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <new>
#include <string>

namespace ballast {
namespace {

std::atomic<std::size_t> under_way{0};

struct Errand {
  std::string name;
  std::function<void()> work;
};

void* run(void* raw) {
  {
    const std::unique_ptr<Errand> errand{static_cast<Errand*>(raw)};
    (void)pthread_setname_np(pthread_self(), errand->name.c_str());
    try {
      errand->work();
    } catch (const std::bad_alloc&) {
      // A sender that waits gets no result.
    }
  }
  under_way.fetch_sub(1);
  return nullptr;
}

bool start(Errand* errand) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) {
    return false;
  }
  (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  const bool started = pthread_create(&thread, &attributes, &run, errand) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return started;
}

}  // namespace

bool send_errand_function(const char* name, std::function<void()> work) noexcept {
  if (under_way.fetch_add(1) >= most_errands) {
    under_way.fetch_sub(1);
    return false;
  }
  try {
    auto errand = std::make_unique<Errand>(std::string{name}.substr(0, 15), std::move(work));
    if (start(errand.get())) {
      (void)errand.release();
      return true;
    }
  } catch (const std::bad_alloc&) {
    // the same as when the thread cannot be made
  }
  under_way.fetch_sub(1);
  return false;
}

std::size_t errands_under_way() noexcept {
  return under_way.load();
}

}  // namespace ballast

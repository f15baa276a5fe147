// SPDX-License-Identifier: Apache-2.0
// Watches a small text file from a thread of its own and hands over its contents when they change.
//
// Polling contents needs no inotify watch to follow renames, and misses nothing that stands for a
// tenth of a second. Files longer than `longest` are cut one byte past it, for the reader to
// refuse.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

namespace ballast::backend {

class ControlFile {
 public:
  // `changed` runs on the watching thread, never after stop(), and must not throw.
  ControlFile(std::string path, std::size_t longest, std::function<void(std::string)> changed);
  ~ControlFile() { stop(); }
  ControlFile(const ControlFile&) = delete;
  ControlFile& operator=(const ControlFile&) = delete;

  // What the file holds now; empty if there is none. Changes are counted from the last read().
  std::string read();
  Result<void> start();
  // Asks the thread to end, which it does at once unless reading or `changed` holds it up.
  void request_stop();
  bool running() const { return started_ && !ended_.load(std::memory_order_acquire); }
  // Ends the thread; waits for it.
  void stop();

 private:
  static void* entry(void* self);
  void watch();
  bool stopping_within(int milliseconds) const;

  const std::string path_;
  const std::size_t longest_;
  const std::function<void(std::string)> changed_;
  std::string last_;
  UniqueFd stop_;  // an eventfd
  bool started_ = false;
  std::atomic<bool> ended_{false};
  pthread_t thread_{};
};

}  // namespace ballast::backend

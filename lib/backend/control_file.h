// SPDX-License-Identifier: Apache-2.0
// Watches a small text file from a thread of its own and hands over its contents when they change.
//
// The thread reads the file every 100 ms. It hands over contents that it reads twice, 10 ms apart,
// so that it does not take a file that is being written. Polling needs no inotify watch that
// follows renames, and it misses only contents that last less than about a tenth of a second. A
// file that cannot be opened counts as empty. A file longer than `longest` bytes is cut to one byte
// more than that; the receiver sees from this that it is too long.
//
// One thread calls all functions.
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
  // `changed` runs on the watching thread, never after stop(). It must not throw.
  ControlFile(std::string path, std::size_t longest, std::function<void(std::string)> changed);
  ~ControlFile() { stop(); }
  ControlFile(const ControlFile&) = delete;
  ControlFile& operator=(const ControlFile&) = delete;

  // Returns what the file holds now; empty if there is none. Only before start(), which watches for
  // changes from these contents on.
  std::string read();
  // Starts the thread. The error says why the file cannot be watched.
  Result<void> start();
  // Asks the thread to end. It ends at once, unless reading or `changed` keeps it.
  void request_stop();
  bool running() const { return started_ && !ended_.load(std::memory_order_acquire); }
  // Ends the thread and waits for it. Does nothing if it was not started.
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

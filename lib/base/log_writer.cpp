// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log_writer.h"
#include "lib/base/detached_thread.h"
#include "lib/base/never_destroyed.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>

namespace ballast {
namespace {

using Clock = std::chrono::steady_clock;

// A line that waited at least so long says so.
constexpr std::chrono::seconds worth_saying{2};
constexpr std::size_t room_for_words = 96;

// Never destroyed: threads may log while the process ends.
class Writer {
 public:
  bool start(LogSink sink);
  void push(LogLevel level, std::string_view line);
  bool flush(Nanoseconds limit);
  void end(Nanoseconds limit);

 private:
  struct Header {
    LogLevel level;
    std::size_t length;
    Clock::time_point when;
  };
  static void* entry(void* self);
  [[noreturn]] void run();
  bool put(LogLevel level, std::string_view line);
  bool put_dropped();
  void copy_in(const void* from, std::size_t count);
  void copy_out(void* to, std::size_t count);
  void write_one(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;  // guards what follows; held for one copy of a line
  std::condition_variable not_empty_;
  std::condition_variable written_;
  LogSink sink_ = nullptr;  // null: nowhere
  bool started_ = false;
  bool writing_ = false;
  std::uint64_t dropped_ = 0;
  std::size_t begin_ = 0;
  std::size_t used_ = 0;
  char queue_[log_queue_bytes];
  char out_[room_for_words + longest_log_line];  // the writer thread's
};

Writer& writer() {
  return never_destroyed<Writer>();  // the pages of an unused queue are not there
}

bool Writer::start(LogSink sink) {
  const std::lock_guard lock{mutex_};
  sink_ = sink;
  if (started_) {
    return true;
  }
  started_ = start_detached(&Writer::entry, this);
  return started_;
}

void* Writer::entry(void* self) {
  (void)pthread_setname_np(pthread_self(), "ballast/log");
  static_cast<Writer*>(self)->run();
}

void Writer::run() {
  std::unique_lock lock{mutex_};
  for (;;) {
    not_empty_.wait(lock, [this] { return used_ > 0; });
    writing_ = true;
    while (used_ > 0) {
      write_one(lock);
      (void)put_dropped();
    }
    writing_ = false;
    written_.notify_all();
  }
}

void Writer::write_one(std::unique_lock<std::mutex>& lock) {
  Header header;
  copy_out(&header, sizeof header);
  char* const text = out_ + room_for_words;
  copy_out(text, header.length);
  const LogSink sink = sink_;
  lock.unlock();
  const auto waited = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - header.when);
  std::string_view line{text, header.length};
  if (waited >= worth_saying) {
    char words[room_for_words];
    const int length =
        std::snprintf(words, sizeof words, "[%lld s ago] ", static_cast<long long>(waited.count()));
    const auto count = static_cast<std::size_t>(std::max(length, 0));
    std::memcpy(text - count, words, count);
    line = {text - count, count + header.length};
  }
  if (sink != nullptr) {
    sink(header.level, line);
  }
  lock.lock();
}

void Writer::copy_in(const void* from, std::size_t count) {
  const std::size_t end = (begin_ + used_) % log_queue_bytes;
  const std::size_t first = std::min(count, log_queue_bytes - end);
  std::memcpy(queue_ + end, from, first);
  std::memcpy(queue_, static_cast<const char*>(from) + first, count - first);
  used_ += count;
}

void Writer::copy_out(void* to, std::size_t count) {
  const std::size_t first = std::min(count, log_queue_bytes - begin_);
  std::memcpy(to, queue_ + begin_, first);
  std::memcpy(static_cast<char*>(to) + first, queue_, count - first);
  begin_ = (begin_ + count) % log_queue_bytes;
  used_ -= count;
}

bool Writer::put(LogLevel level, std::string_view line) {
  line = line.substr(0, longest_log_line);
  if (sizeof(Header) + line.size() > log_queue_bytes - used_) {
    return false;
  }
  const Header header{level, line.size(), Clock::now()};
  copy_in(&header, sizeof header);
  copy_in(line.data(), line.size());
  return true;
}

// Queues the line about dropped lines, if any were dropped. Returns false if it finds no room.
bool Writer::put_dropped() {
  if (dropped_ == 0) {
    return true;
  }
  char words[room_for_words];
  const int length = std::snprintf(
      words, sizeof words, "%llu log lines were dropped, because the log could not be written",
      static_cast<unsigned long long>(dropped_));
  if (!put(LogLevel::warning, {words, static_cast<std::size_t>(std::max(length, 0))})) {
    return false;
  }
  dropped_ = 0;
  return true;
}

void Writer::push(LogLevel level, std::string_view line) {
  {
    const std::lock_guard lock{mutex_};
    if (!put_dropped() || !put(level, line)) {
      ++dropped_;
    }
  }
  not_empty_.notify_one();
}

bool Writer::flush(Nanoseconds limit) {
  std::unique_lock lock{mutex_};
  return written_.wait_for(lock, limit, [this] { return !started_ || (used_ == 0 && !writing_); });
}

void Writer::end(Nanoseconds limit) {
  (void)flush(limit);
  const std::lock_guard lock{mutex_};
  sink_ = nullptr;
}

void hand_over(LogLevel level, std::string_view line) {
  writer().push(level, line);
}

}  // namespace

bool start_log_writer(LogSink sink) noexcept {
  const bool started = writer().start(sink);
  set_log_sink(started ? &hand_over : sink);
  return started;
}

bool flush_log(Nanoseconds limit) noexcept {
  return writer().flush(limit);
}

void end_log_writer(Nanoseconds limit) noexcept {
  writer().end(limit);
  set_log_sink([](LogLevel, std::string_view) {});
}

}  // namespace ballast

// SPDX-License-Identifier: Apache-2.0
#include "handler/signals.h"

#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <utility>

#include "lib/base/log.h"
#include "lib/base/never_destroyed.h"
#include "lib/watch/bus.h"
#include "lib/watch/report.h"

namespace ballast::handler {
namespace {

namespace bus = watch::bus;

// News on their way to the main thread. Any thread.
class Waiting {
 public:
  // Returns false if there is no room for it.
  bool put(watch::StallNews&& news) {
    const std::lock_guard lock{mutex_};
    if (news_.size() == most_waiting) {
      return false;
    }
    news_.push_back(std::move(news));
    return true;
  }
  std::deque<watch::StallNews> take(std::size_t most) {
    const std::lock_guard lock{mutex_};
    std::deque<watch::StallNews> taken;
    while (!news_.empty() && taken.size() < most) {
      taken.push_back(std::move(news_.front()));
      news_.pop_front();
    }
    return taken;
  }
  void clear() {
    std::deque<watch::StallNews> destroyed_without_the_lock;
    const std::lock_guard lock{mutex_};
    news_.swap(destroyed_without_the_lock);
  }

 private:
  std::mutex mutex_;
  std::deque<watch::StallNews> news_;
};

Waiting& waiting() {
  return never_destroyed<Waiting>();
}

std::atomic<std::uint64_t> dropped{0};
int bell = -1;  // an eventfd; written before a LUN exists

// Main thread only.
GDBusConnection* connection = nullptr;
bool sending = false;  // the bus has not taken yet what was sent

void on_taken(GObject* source, GAsyncResult* result, gpointer) noexcept {
  (void)g_dbus_connection_flush_finish(G_DBUS_CONNECTION(source), result, nullptr);
  sending = false;
  if (const std::uint64_t count = dropped.exchange(0); count > 0) {
    log(LogLevel::warning,
        "{} signals of stalls were not sent, because D-Bus did not take them in time: ballastctl "
        "watch tells of these LUNs a second later, without details",
        count);
  }
  signals_send();
}

bool send(const watch::StallNews& news) {
  // A backstore's name may contain any bytes, but GDBus wants UTF-8.
  g_autofree gchar* lun = g_utf8_make_valid(news.lun.name.c_str(), -1);
  const std::string json = watch::report::stall(news);
  return g_dbus_connection_emit_signal(connection, nullptr, bus::object_path, bus::name,
                                       news.oldest ? bus::stalled.name : bus::recovered.name,
                                       g_variant_new("(ss)", lun, json.c_str()), nullptr) != FALSE;
}

gboolean on_bell(gint fd, GIOCondition, gpointer) noexcept {
  std::uint64_t count = 0;
  (void)!::read(fd, &count, sizeof count);
  signals_send();
  return G_SOURCE_CONTINUE;
}

}  // namespace

void signal_stall(watch::StallNews news) noexcept {
  try {
    if (!waiting().put(std::move(news))) {
      dropped.fetch_add(1);
    }
  } catch (const std::exception&) {
    dropped.fetch_add(1);
  }
  const std::uint64_t one = 1;
  (void)!::write(bell, &one, sizeof one);
}

void signals_start() noexcept {
  bell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (bell >= 0) {
    g_unix_fd_add(bell, G_IO_IN, on_bell, nullptr);
  }
}

void signals_go_to(GDBusConnection* to) noexcept {
  connection = to;
  if (connection == nullptr) {
    waiting().clear();
  }
}

void signals_send() noexcept {
  if (connection == nullptr) {
    waiting().clear();  // nobody can listen
    return;
  }
  if (sending) {
    return;
  }
  try {
    for (const watch::StallNews& news : waiting().take(most_at_once)) {
      sending = send(news) || sending;
    }
  } catch (const std::exception&) {
    dropped.fetch_add(1);
  }
  if (sending) {
    g_dbus_connection_flush(connection, nullptr, on_taken, nullptr);
  }
}

}  // namespace ballast::handler

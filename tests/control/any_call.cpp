// SPDX-License-Identifier: Apache-2.0
// Calls the plugin's D-Bus object with whatever the bus lets through: methods that there are and
// that there are not, names of LUNs that are long or strange, arguments of other types, several
// calls at once. Each call must be answered, with text that a terminal can show.
//
//   any_call SECONDS LUN…      exit 0: all were answered; BALLAST_SEED repeats a run
//   any_call --unheard COUNT   calls List so often, and wants no answer
#include <gio/gio.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lib/watch/bus.h"

namespace {

namespace bus = ballast::watch::bus;

constexpr int answer_limit = 20'000;  // ms; a busy machine, and LUNs that do not answer
constexpr std::size_t most_at_once = 8;

[[noreturn]] void fail(const char* what, std::string_view detail) {
  std::printf("%s: %.*s\n", what, static_cast<int>(detail.size()), detail.data());
  std::exit(1);
}

class Calls {
 public:
  Calls(std::uint64_t seed, std::vector<std::string> luns)
      : random_{seed}, luns_{std::move(luns)} {}

  // Calls once; `connection` lives until the answer has come.
  void call(GDBusConnection* connection) {
    ++waiting_;
    g_dbus_connection_call(connection, bus::name, chance(30) ? "/" : bus::object_path, interface(),
                           method(), arguments(), nullptr, G_DBUS_CALL_FLAGS_NONE, answer_limit,
                           nullptr, on_answer, this);
  }
  std::size_t waiting() const { return waiting_; }
  std::size_t answers() const { return answers_; }
  std::size_t refusals() const { return refusals_; }

 private:
  bool chance(unsigned one_in) { return random_() % one_in == 0; }
  const char* any(std::initializer_list<const char*> of) {
    return of.begin()[random_() % of.size()];
  }
  const char* interface() {
    return chance(20) ? any({"org.freedesktop.DBus.Properties", "org.ballast.Other",
                             "org.freedesktop.DBus.Introspectable"})
                      : bus::name;
  }
  const char* method() {
    return any({bus::list.name, bus::in_flight.name, bus::slow.name, bus::stats.name,
                bus::tasks.name, bus::log.name, bus::hurry_log.name, bus::let_log_go.name,
                bus::activate.name, bus::stand_by.name, "Get", "Set", "Introspect", "Nothing"});
  }
  // The bus takes no other text than UTF-8 without NUL.
  std::string text() {
    if (chance(2)) {
      return luns_[random_() % luns_.size()];
    }
    std::string made;
    for (auto left = random_() % (chance(20) ? 100'000 : 20); left > 0; --left) {
      made += any({"a", "\x1b[2J", "\n", "\t", "\xc3\xa9", "\xe2\x80\xae", "%s", "{}", "\"", "\\",
                   "/", "..", "\x7f", "\xf0\x9f\x92\xa5"});
    }
    return made;
  }
  GVariant* arguments() {
    switch (random_() % 12) {
      case 0:
        return nullptr;
      case 1:
        return g_variant_new("(u)", static_cast<guint32>(random_()));
      case 2:
        return g_variant_new("(ss)", text().c_str(), text().c_str());
      case 3:
        return g_variant_new("(v)", g_variant_new_string(text().c_str()));
      case 4:
        return g_variant_new("(as)", nullptr);
      default:
        return g_variant_new("(s)", text().c_str());
    }
  }

  static void on_answer(GObject* connection, GAsyncResult* result, gpointer self) {
    auto& calls = *static_cast<Calls*>(self);
    --calls.waiting_;
    GError* error = nullptr;
    GVariant* const answer =
        g_dbus_connection_call_finish(G_DBUS_CONNECTION(connection), result, &error);
    if (answer != nullptr) {
      ++calls.answers_;
      g_variant_unref(answer);
      return;
    }
    ++calls.refusals_;
    gchar* const name = g_dbus_error_get_remote_error(error);
    if (name == nullptr) {
      fail("a call was not answered", error->message);
    }
    constexpr std::array gone{"org.freedesktop.DBus.Error.NoReply",
                              "org.freedesktop.DBus.Error.ServiceUnknown"};
    if (std::ranges::find(gone, std::string_view{name}) != gone.end()) {
      fail("the daemon is gone", error->message);
    }
    g_free(name);
    g_error_free(error);
  }

  std::mt19937_64 random_;
  const std::vector<std::string> luns_;
  std::size_t waiting_ = 0;
  std::size_t answers_ = 0;
  std::size_t refusals_ = 0;
};

// GDBus says in a call without a callback that no answer is wanted.
void call_unheard(GDBusConnection* connection, int count) {
  for (int i = 0; i < count; ++i) {
    g_dbus_connection_call(connection, bus::name, bus::object_path, bus::name, bus::list.name,
                           nullptr, nullptr, G_DBUS_CALL_FLAGS_NONE, -1, nullptr, nullptr, nullptr);
  }
  g_dbus_connection_flush_sync(connection, nullptr, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: any_call SECONDS LUN… | any_call --unheard COUNT\n", stderr);
    return 2;
  }
  GError* error = nullptr;
  GDBusConnection* const connection = g_bus_get_sync(G_BUS_TYPE_SYSTEM, nullptr, &error);
  if (connection == nullptr) {
    fail("no bus", error->message);
  }
  if (std::string_view{argv[1]} == "--unheard") {
    call_unheard(connection, std::atoi(argv[2]));
    return 0;
  }
  const char* const given = std::getenv("BALLAST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("BALLAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Calls calls{seed, {argv + 2, argv + argc}};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{std::atoi(argv[1])};
  while (std::chrono::steady_clock::now() < end || calls.waiting() > 0) {
    if (std::chrono::steady_clock::now() < end && calls.waiting() < most_at_once) {
      calls.call(connection);
    } else {
      g_main_context_iteration(nullptr, TRUE);
    }
  }
  std::printf("%zu calls were answered, %zu refused\n", calls.answers(), calls.refusals());
  return calls.answers() > 0 && calls.refusals() > 0 ? 0 : 1;
}

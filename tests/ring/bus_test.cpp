// SPDX-License-Identifier: Apache-2.0
// The built plugin on a bus of its own: what the LUNs themselves answer, do, and tell. A main loop
// runs, as in the daemon.
#include <gio/gio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "lib/watch/bus.h"
#include "tests/ring/support.h"

#include "tests/cmocka.h"
#include "tests/ring/assert_has.h"

using namespace ballast::ring_test;
namespace bus = ballast::watch::bus;
using nlohmann::json;

namespace {

constexpr unsigned good = 0x00;
constexpr unsigned busy = 0x08;
constexpr const char* on_disk = "/var/tmp";

struct Release {
  void operator()(GVariant* variant) const { g_variant_unref(variant); }
  void operator()(GError* error) const { g_error_free(error); }
  void operator()(gchar* text) const { g_free(text); }
};
template <class T>
using Owned = std::unique_ptr<T, Release>;

GDBusConnection* connection = nullptr;

struct Reply {
  std::string error;  // a D-Bus error's name; empty: none
  std::string text;   // JSON, or the error's message
};

Reply call(const bus::Method& method, const std::string& lun) {
  GVariant* const arguments = method.takes_lun ? g_variant_new("(s)", lun.c_str()) : nullptr;
  GError* raw = nullptr;
  const Owned<GVariant> answer{g_dbus_connection_call_sync(
      connection, bus::name, bus::object_path, bus::name, method.name, arguments,
      G_VARIANT_TYPE("(s)"), G_DBUS_CALL_FLAGS_NO_AUTO_START, 20000, nullptr, &raw)};
  if (answer == nullptr) {
    const Owned<GError> error{raw};
    const Owned<gchar> name{g_dbus_error_get_remote_error(error.get())};
    return {name != nullptr ? name.get() : "no answer", error->message};
  }
  const gchar* text = nullptr;
  g_variant_get(answer.get(), "(&s)", &text);
  return {{}, text};
}

json report(const bus::Method& method, const std::string& lun = "") {
  const Reply reply = call(method, lun);
  if (!reply.error.empty()) {
    print_error("%s: %s\n", reply.error.c_str(), reply.text.c_str());
  }
  assert_true(reply.error.empty());
  return json::parse(reply.text);
}

void assert_not_done(const Reply& reply, const char* why) {
  assert_string_equal(reply.error.c_str(), bus::not_done);
  assert_has(reply.text, why);
}

std::unique_ptr<Lun> add(const char* name, const std::string& config) {
  LunOptions options;
  options.name = name;
  options.unit_serial = name;
  std::unique_ptr<Lun> lun = Lun::add(config, options);
  assert_non_null(lun.get());
  assert_true(eventually([&] { return lun->execute(test_unit_ready()).status == good; }));
  return lun;
}

void a_lun_is_listed_for_as_long_as_it_is_there(void**) {
  const auto first = add("first", "memory");
  auto second = add("second", "memory");
  json list = report(bus::list);
  assert_int_equal(list["luns"].size(), 2);
  assert_true(list["luns"][0]["name"] == "first");
  assert_true(list["luns"][1]["name"] == "second");
  assert_true(list["luns"][1]["state"] == "ok");
  assert_true(list["silent"].empty());
  second.reset();
  list = report(bus::list);
  assert_int_equal(list["luns"].size(), 1);
}

void a_lun_whose_thread_is_held_up_is_named_and_the_others_are_told_of(void**) {
  const Folder folder{"/dev/shm"};
  std::ofstream{folder.file("faults")} << "read block=15s first=1\n";
  const auto held =
      add("held", "file=" + folder.file("vol.raw") + ";fault=" + folder.file("faults"));
  const auto healthy = add("healthy", "memory");
  std::vector<std::byte> data(4096);
  Countdown answers{1};
  assert_true(held->submit(read_16(0, 8), Direction::from_device, data, answers.done()));
  assert_true(eventually([&] { return report(bus::list)["silent"] == json{"held"}; }));
  const json list = report(bus::list);
  assert_int_equal(list["luns"].size(), 1);
  assert_true(list["luns"][0]["name"] == "healthy");
  assert_true(answers.wait());
  assert_true(eventually([&] { return report(bus::list)["silent"].empty(); }));
}

void only_a_shared_lun_can_be_activated_or_put_on_standby(void**) {
  const auto lun = add("alone", "memory");
  assert_not_done(call(bus::activate, "alone"), "can be activated");
  assert_not_done(call(bus::stand_by, "alone"), "can be put on standby");
  assert_int_equal(lun->execute(test_unit_ready()).status, good);
}

void a_lun_without_a_log_has_nothing_to_write_back(void**) {
  const auto lun = add("logless", "memory");
  assert_not_done(call(bus::hurry_log, "logless"), "log");
  assert_not_done(call(bus::let_log_go, "logless"), "log");
}

void a_log_is_written_back_and_let_go_of(void**) {
  if (!has_direct_io(on_disk) || !has_attributes(on_disk)) {
    print_message("%s has no O_DIRECT or no extended attributes\n", on_disk);
    skip();
  }
  const Folder folder{on_disk};
  const auto lun = add("logged", "file=" + folder.file("vol.raw") +
                                     ";log=" + folder.file("vol.log") + ";log_size=256MiB");
  std::vector<std::byte> data = bytes_of(4096, 5);
  assert_int_equal(lun->execute(write_16(0, 8), Direction::to_device, data).status, good);
  const json begun = report(bus::hurry_log, "logged");
  assert_int_equal(begun["luns"].size(), 1);
  assert_true(begun["luns"][0]["name"] == "logged");
  assert_true(eventually(
      [&] { return report(bus::let_log_go, "logged")["luns"][0]["log"]["state"] == "let go"; }));
  std::vector<std::byte> back(4096);
  assert_int_equal(lun->execute(read_16(0, 8), Direction::from_device, back).status, good);
  assert_true(back == data);
}

// What came since the last look: "Stalled vol0".
std::vector<std::string> signals;
GMainContext* tests_context = nullptr;

void on_signal(GDBusConnection*, const gchar*, const gchar*, const gchar*, const gchar* name,
               GVariant* parameters, gpointer) {
  const gchar* lun = nullptr;
  const gchar* text = nullptr;
  g_variant_get(parameters, "(&s&s)", &lun, &text);
  assert_true(json::parse(text)["luns"][0]["name"] == lun);
  signals.push_back(std::string{name} + " " + lun);
}

bool comes(const std::string& wanted) {
  return eventually([&] {
    while (g_main_context_iteration(tests_context, FALSE) != FALSE) {
    }
    return std::find(signals.begin(), signals.end(), wanted) != signals.end();
  });
}

void a_stall_and_its_end_are_told_to_those_who_listen(void**) {
  const guint subscription = g_dbus_connection_signal_subscribe(
      connection, bus::name, bus::name, nullptr, bus::object_path, nullptr,
      G_DBUS_SIGNAL_FLAGS_NONE, &on_signal, nullptr, nullptr);
  const Folder folder{"/dev/shm"};
  const auto lun =
      add("frozen", "file=" + folder.file("vol.raw") + ";fault=" + folder.file("faults") + quick);
  std::ofstream{folder.file("faults")} << "read freeze\n";
  std::vector<std::byte> data(4096);
  assert_true(eventually(
      [&] { return lun->execute(read_16(0, 8), Direction::from_device, data).status == busy; }));
  assert_true(comes("Stalled frozen"));
  assert_true(report(bus::list)["luns"][0]["state"] == "stalled");
  std::ofstream{folder.file("faults")} << "";
  assert_true(comes("Recovered frozen"));
  g_dbus_connection_signal_unsubscribe(connection, subscription);
}

// Has the main loop check a string: in an idle source, as a call on the bus comes, or in the source
// in which the daemon hears from the kernel.
class Check {
 public:
  explicit Check(const char* config) : config_{config} {}
  std::string when_a_user_asks() {
    g_idle_add(&Check::idle, this);
    return wait();
  }
  std::string when_the_kernel_has_news() {
    const int event = ::eventfd(1, EFD_CLOEXEC);
    GIOChannel* const channel = g_io_channel_unix_new(event);
    g_io_channel_set_close_on_unref(channel, TRUE);
    g_io_add_watch(channel, G_IO_IN, &Check::news, this);
    g_io_channel_unref(channel);
    return wait();
  }

 private:
  static gboolean idle(void* self) {
    static_cast<Check*>(self)->check();
    return G_SOURCE_REMOVE;
  }
  static gboolean news(GIOChannel*, GIOCondition, void* self) {
    static_cast<Check*>(self)->check();
    return G_SOURCE_REMOVE;
  }
  void check() {
    said_ = check_config(config_);
    checked_.release();
  }
  std::string wait() {
    checked_.acquire();
    return said_;
  }
  const char* const config_;
  std::string said_;
  std::binary_semaphore checked_{0};
};

// What the kernel has, open() looks at, and that can wait for its store.
void a_string_is_checked_for_its_author_and_not_for_the_kernel(void**) {
  Check wrong{"ballast/memory;deadline=never"};
  assert_true(wrong.when_a_user_asks().find("deadline") != std::string::npos);
  assert_string_equal(wrong.when_the_kernel_has_news().c_str(), "");
  Check right{"ballast/memory"};
  assert_string_equal(right.when_a_user_asks().c_str(), "");
}

// The daemon closes one LUN after the other, and would wait for each.
void frozen_luns_end_their_commands_together_when_the_daemon_is_told_to_stop(void**) {
  const Folder folder{"/dev/shm"};
  std::ofstream{folder.file("faults")} << "read freeze\n";
  const std::string keys = ";deadline=5min;stall_after=300ms;fault=" + folder.file("faults");
  const auto one = add("one", "file=" + folder.file("one.raw") + keys);
  const auto two = add("two", "file=" + folder.file("two.raw") + keys);
  std::vector<std::byte> data(4096);
  std::vector<std::byte> other(4096);
  Countdown answers{2};
  assert_true(one->submit(read_16(0, 8), Direction::from_device, data, answers.done()));
  assert_true(two->submit(read_16(0, 8), Direction::from_device, other, answers.done()));
  assert_int_equal(::kill(::getpid(), SIGTERM), 0);
  assert_true(answers.wait());
  assert_int_equal(answers.last_bad().status, busy);
  std::ofstream{folder.file("faults")} << "";
}

}  // namespace

int main() {
  const Owned<gchar> daemon{g_find_program_in_path("dbus-daemon")};
  if (daemon == nullptr) {
    std::printf("no dbus-daemon: ci/deps check\n");
    return 77;
  }
  GTestDBus* const own_bus = g_test_dbus_new(G_TEST_DBUS_NONE);
  g_test_dbus_up(own_bus);
  const char* const address = g_test_dbus_get_bus_address(own_bus);
  ::setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
  load_built_plugin();
  // The plugin's sources are in the default context. The tests have another one.
  GMainLoop* const loop = g_main_loop_new(nullptr, FALSE);
  std::thread main_loop{[loop] { g_main_loop_run(loop); }};
  constexpr int flags = G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                        G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION;
  tests_context = g_main_context_new();
  g_main_context_push_thread_default(tests_context);
  connection = g_dbus_connection_new_for_address_sync(
      address, static_cast<GDBusConnectionFlags>(flags), nullptr, nullptr, nullptr);
  const bool there =
      connection != nullptr && eventually([] { return call(bus::list, "").error.empty(); });
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_lun_is_listed_for_as_long_as_it_is_there),
      cmocka_unit_test(a_lun_whose_thread_is_held_up_is_named_and_the_others_are_told_of),
      cmocka_unit_test(only_a_shared_lun_can_be_activated_or_put_on_standby),
      cmocka_unit_test(a_lun_without_a_log_has_nothing_to_write_back),
      cmocka_unit_test(a_log_is_written_back_and_let_go_of),
      cmocka_unit_test(a_stall_and_its_end_are_told_to_those_who_listen),
      cmocka_unit_test(a_string_is_checked_for_its_author_and_not_for_the_kernel),
      cmocka_unit_test(frozen_luns_end_their_commands_together_when_the_daemon_is_told_to_stop),
  };
  const int failed = there ? cmocka_run_group_tests(tests, nullptr, nullptr) : 1;
  g_main_loop_quit(loop);
  main_loop.join();
  g_main_loop_unref(loop);
  g_test_dbus_stop(own_bus);
  return failed;
}

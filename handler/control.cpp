// SPDX-License-Identifier: Apache-2.0
#include "handler/control.h"

#include <fmt/format.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "handler/signals.h"
#include "lib/base/log.h"
#include "lib/base/never_destroyed.h"
#include "lib/base/version.h"
#include "lib/watch/bus.h"
#include "lib/watch/report.h"
#include "lib/watch/watchdog.h"

namespace ballast::handler {
namespace {

namespace bus = watch::bus;

constexpr std::size_t most_names = 50;  // the most names that one message lists

LunDirectory& directory() {
  return never_destroyed<LunDirectory>();
}

struct Release {
  void operator()(GError* error) const noexcept { g_error_free(error); }
};
using OwnedError = std::unique_ptr<GError, Release>;

struct Answer {
  const char* error = nullptr;  // a D-Bus error's name; null: none
  std::string text;             // JSON, or the error's message
};

// `lun` comes from the caller. It is valid UTF-8, because the bus checks this.
Answer unknown(std::string_view lun) {
  std::vector<std::string> names = directory().names();
  const std::size_t left_out = names.size() - std::min(names.size(), most_names);
  names.resize(names.size() - left_out);
  std::string message = fmt::format("there is no LUN \"{}\"", lun);
  message +=
      names.empty() ? "; no LUN is open" : fmt::format("; there are {}", fmt::join(names, ", "));
  message += left_out == 0 ? "" : fmt::format(" and {} more", left_out);
  // A backstore's name may contain any bytes, but GDBus wants UTF-8.
  gchar* const valid = g_utf8_make_valid(message.c_str(), -1);
  message = valid;
  g_free(valid);
  return {bus::no_such_lun, std::move(message)};
}

// How long the next LUN may take to answer, if `gone` has passed since the call came.
Nanoseconds patience_after(Nanoseconds gone) {
  const Nanoseconds least = std::clamp(control_limit - gone, Nanoseconds{}, control_least_patience);
  return std::max(control_patience - gone, least);
}

Answer answer(const watch::report::Report& report, const std::string& lun) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<watch::LunSnapshot> snapshots;
  watch::FromOutside outside;
  const std::size_t visited =
      directory().visit(lun.empty() ? nullptr : &lun, [&](ControlledLun& asked) {
        const Nanoseconds gone = std::chrono::steady_clock::now() - begin;
        watch::LunSnapshot snapshot;
        const bool answered = asked.snapshot(report.lists, &snapshot, patience_after(gone));
        if (answered) {
          snapshots.push_back(std::move(snapshot));
        } else {
          outside.silent.push_back(asked.name());
        }
        if (auto stuck = asked.stuck(answered ? watch::Watchdog::patience : control_patience)) {
          outside.stuck.push_back(std::move(*stuck));
        }
      });
  if (visited == 0 && !lun.empty()) {
    return unknown(lun);
  }
  return {nullptr, report.write(snapshots, outside)};
}

void reply(GDBusMethodInvocation* invocation, const char* error, const char* text) noexcept {
  if (error == nullptr) {
    g_dbus_method_invocation_return_value(invocation, g_variant_new("(s)", text));
  } else {
    g_dbus_method_invocation_return_dbus_error(invocation, error, text);
  }
}

// What a LUN carries out. Its own thread answers the call, which may be long after this has
// returned.
struct Action {
  bus::Method method;
  void (*begin)(ControlledLun& lun, GDBusMethodInvocation* invocation);
};

template <bool here>
void move(ControlledLun& lun, GDBusMethodInvocation* invocation) {
  lun.move(here, [invocation](const Result<void>& result) {
    reply(invocation, result ? nullptr : bus::not_done,
          result ? "" : result.error().message.c_str());
  });
}

template <bool lets_go>
void write_log_back(ControlledLun& lun, GDBusMethodInvocation* invocation) {
  lun.write_log_back(lets_go, [invocation](const Result<watch::LunSnapshot>& result) {
    const std::string text =
        result ? watch::report::log(std::span{&result.value(), 1}, {}) : result.error().message;
    reply(invocation, result ? nullptr : bus::not_done, text.c_str());
  });
}

constexpr std::array actions{
    Action{bus::activate, move<true>},
    Action{bus::stand_by, move<false>},
    Action{bus::hurry_log, write_log_back<false>},
    Action{bus::let_log_go, write_log_back<true>},
};

// Null: the method only shows something.
const Action* find_action(std::string_view method) {
  const auto found = std::ranges::find_if(
      actions, [method](const Action& its) { return its.method.name == method; });
  return found == actions.end() ? nullptr : &*found;
}

// Returns an answer if there is nothing to wait for.
std::optional<Answer> begin(const Action& action, const std::string& lun,
                            GDBusMethodInvocation* invocation) {
  const std::vector<std::string> names = directory().names();
  if (const auto of_this_name = std::ranges::count(names, lun); of_this_name > 1) {
    return Answer{bus::not_done,
                  fmt::format("{} backstores have the name \"{}\", so it is not clear which one is "
                              "meant: delete one, and make it anew with another name",
                              of_this_name, lun)};
  }
  const std::size_t visited = directory().visit(
      &lun, [&action, invocation](ControlledLun& asked) { action.begin(asked, invocation); });
  return visited == 0 ? std::optional{unknown(lun)} : std::nullopt;
}

// Returns nothing if the LUN answers the call itself.
std::optional<Answer> carry_out(std::string_view method, const gchar* lun,
                                GDBusMethodInvocation* invocation) noexcept {
  try {
    const Action* const action = find_action(method);
    if (action != nullptr) {
      return begin(*action, lun, invocation);
    }
    const std::span<const watch::report::Report> reports = watch::report::all();
    const auto found =
        std::find_if(reports.begin(), reports.end(),
                     [method](const watch::report::Report& r) { return r.method.name == method; });
    if (found == reports.end()) {  // GDBus only lets through the methods in the XML
      return Answer{bus::failed, "there is no such method"};
    }
    return answer(*found, lun);
  } catch (const std::exception&) {
    return Answer{bus::failed, ""};
  }
}

void on_method_call(GDBusConnection*, const gchar*, const gchar*, const gchar*, const gchar* method,
                    GVariant* parameters, GDBusMethodInvocation* invocation, gpointer) noexcept {
  const gchar* lun = "";
  if (g_variant_n_children(parameters) == 1) {
    g_variant_get(parameters, "(&s)", &lun);
  }
  const std::optional<Answer> answer = carry_out(method, lun, invocation);
  signals_send();
  if (answer.has_value()) {
    const bool silent = answer->error != nullptr && answer->text.empty();
    reply(invocation, answer->error, silent ? "out of memory" : answer->text.c_str());
  }
}

GVariant* on_get_property(GDBusConnection*, const gchar*, const gchar*, const gchar*, const gchar*,
                          GError**, gpointer) noexcept {
  return g_variant_new_string(version);  // Version is the only property
}

const GDBusInterfaceVTable* vtable() {
  static const GDBusInterfaceVTable table = [] {
    GDBusInterfaceVTable t{};
    t.method_call = on_method_call;
    t.get_property = on_get_property;
    return t;
  }();
  return &table;
}

// --- the bus

// On a thread of GDBus. Calls wait in this process for the main thread. The bus bounds how many
// answers a caller may wait for, but not how many calls it makes that want no answer. So such a
// call is dropped, unless it is one that does something, which only root may.
GDBusMessage* drop_idle_question(GDBusConnection*, GDBusMessage* message, gboolean incoming,
                                 gpointer) noexcept {
  const bool wants_no_answer =
      incoming != FALSE &&
      g_dbus_message_get_message_type(message) == G_DBUS_MESSAGE_TYPE_METHOD_CALL &&
      (g_dbus_message_get_flags(message) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED) != 0;
  const gchar* const member = wants_no_answer ? g_dbus_message_get_member(message) : nullptr;
  if (!wants_no_answer || (member != nullptr && find_action(member) != nullptr)) {
    return message;
  }
  g_object_unref(message);
  return nullptr;
}

// Main thread only. The bus may start after us, or stop and start again. So Ballast tries to
// connect for as long as it runs.
constexpr guint retry_seconds = 2;
GDBusConnection* connection = nullptr;
guint owned_name = 0;
bool said = false;  // whether the log says already that it does not work

gboolean connect(gpointer) noexcept;

// Logs the reason, unless the log says already that it does not work, and connects again later.
void try_later(const char* what, const char* detail = nullptr) noexcept {
  if (!std::exchange(said, true)) {
    log(LogLevel::warning,
        "ballastctl will not work: {}{}{}; Ballast tries again every {} s, and the LUNs are not "
        "affected",
        what, detail != nullptr ? ": " : "", detail != nullptr ? detail : "", retry_seconds);
  }
  g_timeout_add_seconds(retry_seconds, connect, nullptr);
}

void on_name(GDBusConnection*, const gchar*, gpointer) noexcept {
  said = false;
  signals_go_to(connection);
  log(LogLevel::info, "ballastctl works: {} is on the D-Bus system bus", bus::name);
}

void on_no_name(GDBusConnection* on, const gchar*, gpointer) noexcept {
  if (on != nullptr && !std::exchange(said, true)) {
    log(LogLevel::warning,
        "ballastctl will not work: the D-Bus system bus does not give Ballast the name {0}: check "
        "that /usr/share/dbus-1/system.d/{0}.conf is installed, and that no other process owns the "
        "name; the LUNs are not affected",
        bus::name);
  }
}

void on_closed(GDBusConnection*, gboolean, GError*, gpointer) noexcept {
  signals_go_to(nullptr);
  try_later("the D-Bus system bus has closed the connection");
}

// Returns null if memory runs out.
GDBusNodeInfo* describe_interface() noexcept {
  try {
    return g_dbus_node_info_new_for_xml(bus::introspection().c_str(), nullptr);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void on_connection(GObject*, GAsyncResult* result, gpointer) noexcept {
  GError* raw = nullptr;
  connection = g_dbus_connection_new_for_address_finish(result, &raw);
  if (connection == nullptr) {
    try_later(
        "the D-Bus system bus cannot be reached", OwnedError { raw } -> message);
    return;
  }
  g_dbus_connection_add_filter(connection, drop_idle_question, nullptr, nullptr);
  static GDBusNodeInfo* const node = describe_interface();
  if (node == nullptr) {
    try_later("out of memory");
    return;
  }
  // Register the object before the name is requested, so that a caller who sees the name finds the
  // object.
  if (g_dbus_connection_register_object(connection, bus::object_path, node->interfaces[0], vtable(),
                                        nullptr, nullptr, &raw) == 0) {
    try_later(
        "the D-Bus object cannot be made", OwnedError { raw } -> message);
    return;
  }
  g_signal_connect(connection, "closed", G_CALLBACK(on_closed), nullptr);
  owned_name = g_bus_own_name_on_connection(connection, bus::name, G_BUS_NAME_OWNER_FLAGS_NONE,
                                            on_name, on_no_name, nullptr, nullptr);
}

// Ballast has a connection of its own. GLib's shared connection is the daemon's, and does not suit.
// The bus checks a message to a connection against the rules of every name that the connection
// owns, so callers who may talk to the daemon could talk to Ballast as well. And GLib ends the
// process when the shared connection is lost.
gboolean connect(gpointer) noexcept {
  if (owned_name != 0) {
    g_bus_unown_name(std::exchange(owned_name, 0));
  }
  signals_go_to(nullptr);
  g_clear_object(&connection);
  GError* raw = nullptr;
  gchar* const address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, nullptr, &raw);
  if (address == nullptr) {
    try_later(
        "the D-Bus system bus has no address", OwnedError { raw } -> message);
    return G_SOURCE_REMOVE;
  }
  constexpr int flags = G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                        G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION;
  g_dbus_connection_new_for_address(address, static_cast<GDBusConnectionFlags>(flags), nullptr,
                                    nullptr, on_connection, nullptr);
  g_free(address);
  return G_SOURCE_REMOVE;
}

// --- the end

gboolean on_stop(gpointer) noexcept {
  try {
    directory().visit(nullptr, [](ControlledLun& lun) { lun.daemon_stops(); });
  } catch (const std::exception&) {
    log_plain(
        LogLevel::warning,
        "out of memory: the daemon closes its frozen LUNs one after the other, which takes longer");
  }
  return G_SOURCE_CONTINUE;
}

// The daemon watches these signals too, and ends its main loop when they come. Our watch begins
// when the loop runs. Before that, these signals must end the process.
gboolean watch_for_stop(gpointer) noexcept {
  g_unix_signal_add(SIGTERM, on_stop, nullptr);
  g_unix_signal_add(SIGINT, on_stop, nullptr);
  return G_SOURCE_REMOVE;
}

}  // namespace

bool control_before_main_loop() noexcept {
  return g_main_depth() == 0;
}

// tcmu-runner watches libtcmu's descriptor as a GIOChannel (its main.c), and GDBus calls us from
// idle sources. If GLib changes the source's name one day, a kernel event is taken for a question
// on the bus.
bool control_in_kernel_event() noexcept {
  GSource* const source = g_main_current_source();
  const char* const name = source == nullptr ? nullptr : g_source_get_name(source);
  return name != nullptr && std::string_view{name}.starts_with("GIOChannel");
}

void control_start() noexcept {
  g_idle_add(watch_for_stop, nullptr);
  g_idle_add(connect, nullptr);
  signals_start();
}

void control_add(ControlledLun& lun) noexcept {
  try {
    directory().add(lun);
  } catch (const std::exception&) {
    log_plain(LogLevel::warning, "out of memory: ballastctl will not show one of the LUNs");
  }
}

void control_remove(ControlledLun& lun) noexcept {
  directory().remove(lun);
}

}  // namespace ballast::handler

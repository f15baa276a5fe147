// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/ask/daemon.h"

#include <fmt/format.h>
#include <gio/gio.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>
#include <string_view>

namespace ballast::ctl {
namespace {

namespace bus = watch::bus;

struct Release {
  void operator()(GDBusConnection* connection) const noexcept { g_object_unref(connection); }
  void operator()(GVariant* variant) const noexcept { g_variant_unref(variant); }
  void operator()(GError* error) const noexcept { g_error_free(error); }
  void operator()(gchar* text) const noexcept { g_free(text); }
};
template <class T>
using Owned = std::unique_ptr<T, Release>;

bool is_dbus_error(const GError& error, GDBusError code) {
  return error.domain == G_DBUS_ERROR && error.code == code;
}

// Turns an error of the bus into a sentence that says what to do.
Error explain(GError& error, Nanoseconds patience) {
  const Owned<gchar> remote{g_dbus_error_get_remote_error(&error)};
  g_dbus_error_strip_remote_error(&error);
  if (remote && std::string_view{remote.get()} == bus::no_such_lun) {
    return {ENODEV, error.message};
  }
  if (remote && std::string_view{remote.get()} == bus::not_done) {
    return {EIO, error.message};
  }
  if (is_dbus_error(error, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
      is_dbus_error(error, G_DBUS_ERROR_NAME_HAS_NO_OWNER)) {
    return {ESRCH,
            "tcmu-runner is not running, or has not loaded handler_ballast.so: systemctl status "
            "tcmu-runner"};
  }
  if (is_dbus_error(error, G_DBUS_ERROR_ACCESS_DENIED)) {
    if (::geteuid() != 0) {
      return {EACCES,
              "root alone may ask this; members of group ballast may ask what changes nothing: "
              "sudo ballastctl"};
    }
    return {EACCES, fmt::format("the D-Bus system bus does not let root ask: check that "
                                "/usr/share/dbus-1/system.d/{}.conf is installed ({})",
                                bus::name, error.message)};
  }
  if (is_dbus_error(error, G_DBUS_ERROR_NO_REPLY) || is_dbus_error(error, G_DBUS_ERROR_TIMEOUT) ||
      g_error_matches(&error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
    return {ETIMEDOUT,
            fmt::format("tcmu-runner did not answer within {}: it may be opening or closing a "
                        "LUN, or it has ended; see its log, /var/log/tcmu-runner.log",
                        duration_text(static_cast<std::uint64_t>(patience.count())))};
  }
  return {EIO, fmt::format("tcmu-runner answered with an error: {}", error.message)};
}

struct QuestionOptions {
  std::string lun;
  View view;
  bool json = false;
};

void show_answer(const Question& question, QuestionOptions options) {
  const std::string answer = or_fail(ask(question.method, options.lun));
  Reading reading = or_fail(read_answer(answer));
  std::string missing;
  if (options.json || question.complete != nullptr) {
    auto document = nlohmann::ordered_json::parse(answer);
    if (question.complete != nullptr) {
      missing = question.complete(document);
    }
    if (options.json) {
      print_json(document);
      return;
    }
    reading.luns = nlohmann::json(document.at("luns")).get<std::vector<nlohmann::json>>();
  }
  for (const std::string& sentence : silence_of(reading)) {
    fmt::print(stderr, "ballastctl: {}\n", sentence);
  }
  if (!missing.empty()) {
    fmt::print(stderr, "ballastctl: {}\n", missing);
  }
  options.view.width = terminal_width();
  std::fputs(question.show(reading.luns, options.view).c_str(), stdout);
}

struct ActionOptions {
  std::string lun;
  bool json = false;
};

// What the action has led to. The LUN may not answer any more, which does not undo it.
nlohmann::ordered_json outcome(const Action& action, const std::string& lun) {
  nlohmann::ordered_json document{{"version", 1}, {"report", action.name}, {"lun", lun}};
  constexpr std::array members{"access", "owner", "unanswered", "orphans"};
  for (const char* const member : members) {
    document[member] = nullptr;
  }
  const Result<std::string> answer = ask(bus::list, "");
  const Result<Reading> reading = answer ? read_answer(answer.value()) : answer.error();
  if (!reading) {
    return document;
  }
  for (const nlohmann::json& its : reading.value().luns) {
    if (its.at("name") != lun) {
      continue;
    }
    for (const char* const member : members) {
      document[member] = its.at(member);
    }
  }
  return document;
}

void act(const Action& action, const ActionOptions& options) {
  const std::string& lun = options.lun;
  if (const Result<std::string> answer = ask(action.method, lun); !answer) {
    const bool is_luns = answer.error().errno_value == EIO;
    fail((is_luns ? printable(lun) + ": " : "") + answer.error().message);
  }
  if (options.json) {
    print_json(outcome(action, lun));
  } else {
    fmt::print("{}: {}\n", printable(lun), action.done);
  }
}

// Calls a method of the plugin's object. `arguments` may be null; they are used up.
Result<Owned<GVariant>> call(const char* interface, const char* method, GVariant* arguments,
                             const char* reply_type, Nanoseconds patience) {
  GError* raw = nullptr;
  const Owned<GDBusConnection> connection{g_bus_get_sync(G_BUS_TYPE_SYSTEM, nullptr, &raw)};
  if (!connection) {
    const Owned<GError> error{raw};
    if (arguments != nullptr) {
      g_variant_unref(g_variant_ref_sink(arguments));
    }
    return Error{
        ENOTCONN,
        fmt::format("the D-Bus system bus cannot be reached: {}: see systemctl status dbus",
                    error->message)};
  }
  g_dbus_connection_set_exit_on_close(connection.get(), FALSE);
  // GLib takes less than 1 ms for its own default.
  const auto patience_ms = std::max<std::int64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(patience).count(), 1);
  Owned<GVariant> reply{g_dbus_connection_call_sync(
      connection.get(), bus::name, bus::object_path, interface, method, arguments,
      G_VARIANT_TYPE(reply_type), G_DBUS_CALL_FLAGS_NO_AUTO_START, static_cast<int>(patience_ms),
      nullptr, &raw)};
  if (!reply) {
    const Owned<GError> error{raw};
    return explain(*error, patience);
  }
  return reply;
}

}  // namespace

Result<std::string> ask(const bus::Method& method, const std::string& lun, Nanoseconds patience) {
  if (g_utf8_validate(lun.data(), static_cast<gssize>(lun.size()), nullptr) == FALSE) {
    return Error{EINVAL, "the LUN's name is not UTF-8"};
  }
  GVariant* const arguments = method.takes_lun ? g_variant_new("(s)", lun.c_str()) : nullptr;
  const Result<Owned<GVariant>> reply = call(bus::name, method.name, arguments, "(s)", patience);
  if (!reply) {
    return reply.error();
  }
  const gchar* text = nullptr;
  g_variant_get(reply.value().get(), "(&s)", &text);
  return std::string{text};
}

Result<std::string> plugin_version(Nanoseconds patience) {
  const Result<Owned<GVariant>> reply =
      call("org.freedesktop.DBus.Properties", "Get", g_variant_new("(ss)", bus::name, "Version"),
           "(v)", patience);
  if (!reply) {
    return reply.error();
  }
  GVariant* raw = nullptr;
  g_variant_get(reply.value().get(), "(v)", &raw);
  const Owned<GVariant> value{raw};
  if (g_variant_is_of_type(value.get(), G_VARIANT_TYPE_STRING) == FALSE) {
    return Error{EPROTO, "tcmu-runner's answer has no version"};
  }
  return std::string{g_variant_get_string(value.get(), nullptr)};
}

Result<Reading> read_answer(const std::string& answer) {
  constexpr const char* mend =
      "install Ballast's tools and handler_ballast.so of the same version, and restart tcmu-runner";
  try {
    const nlohmann::json document = nlohmann::json::parse(answer);
    if (document.at("version") != 1) {
      return Error{EPROTO, fmt::format("tcmu-runner's answer has another version: {}", mend)};
    }
    return Reading{document.at("luns"), document.value("silent", std::vector<std::string>{}),
                   document.value("stuck", std::vector<nlohmann::json>{})};
  } catch (const nlohmann::json::exception&) {
    return Error{EPROTO, fmt::format("tcmu-runner's answer cannot be read: {}", mend)};
  }
}

std::vector<std::string> silence_of(const Reading& reading) {
  std::vector<std::string> sentences;
  std::set<std::string> explained;
  for (const nlohmann::json& thread : reading.stuck) {
    const std::string lun = thread.at("lun");
    const nlohmann::json& in_kernel = thread.at("in_kernel");
    sentences.push_back(fmt::format(
        "LUN {} {} stuck for {} in {}; thread {} ({}), state {}{}", printable(lun),
        thread.at("drives") ? "does not answer:" : "answers, but is",
        duration_text(thread.at("for_ns").get<std::uint64_t>()),
        printable(thread.at("what").get<std::string>()), thread.at("thread").get<std::int64_t>(),
        printable(thread.at("thread_name").get<std::string>()),
        printable(thread.at("thread_state").get<std::string>()),
        in_kernel.is_string() ? ", " + printable(in_kernel.get<std::string>()) : ""));
    explained.insert(lun);
  }
  for (const std::string& name : reading.silent) {
    if (!explained.contains(name)) {
      sentences.push_back(
          fmt::format("LUN {} does not answer: its thread is busy or stuck", printable(name)));
    }
  }
  return sentences;
}

void add_question(CLI::App& app, const Question& question) {
  CLI::App* const command = app.add_subcommand(question.name, question.description);
  const auto options = std::make_shared<QuestionOptions>();
  if (question.method.takes_lun) {
    command->add_option("LUN", options->lun, "the name of the backstore; without it, all of them");
  }
  add_columns_option(*command, question.columns, options->view.columns);
  add_json_flag(*command, options->json);
  command->callback([question, options] { show_answer(question, *options); });
}

void add_action(CLI::App& app, const Action& action) {
  CLI::App* const command = app.add_subcommand(action.name, action.description);
  const auto options = std::make_shared<ActionOptions>();
  command->add_option("LUN", options->lun, "the name of the backstore")->required();
  add_json_flag(*command, options->json);
  command->callback([action, options] { act(action, *options); });
}

}  // namespace ballast::ctl

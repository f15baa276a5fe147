// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/exporter/exporter.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "lib/base/version.h"
#include "lib/watch/bus.h"
#include "targetcli-config/ballastctl/machine/files.h"
#include "targetcli-config/ballastctl/machine/patience.h"
#include "targetcli-config/exporter/page.h"

namespace ballast::exporter {
namespace {

using ctl::Reading;
using ctl::metrics::PluginAnswers;
using ctl::metrics::Site;

// Who asks twice as long as the work may take has joined the work of another client, and waited for
// all of it.
constexpr Nanoseconds slack = std::chrono::milliseconds{500};
// Who gets nothing in time misses the metrics of the machine for once.
constexpr Nanoseconds site_patience = std::chrono::seconds{1};
static_assert(site_patience + plugin_patience + slack < most_patience);

// The error of the bus says what an operator with ballastctl can do.
Error for_exporter(Error error) {
  if (error.errno_value == EACCES) {
    error.message =
        "the D-Bus system bus does not let ballast-exporter ask the plugin: check that it runs in "
        "the group ballast, and that /usr/share/dbus-1/system.d/org.ballast.Ballast1.readers.conf "
        "is installed; then systemctl reload dbus";
  }
  return error;
}

template <class T>
Result<T> for_exporter(Result<T> result) {
  return result ? std::move(result) : for_exporter(result.error());
}

PluginAnswers ask_plugin() {
  PluginAnswers answers = ctl::metrics::ask_plugin(plugin_patience);
  return {for_exporter(std::move(answers.version)), for_exporter(std::move(answers.list)),
          for_exporter(std::move(answers.stats)), for_exporter(std::move(answers.logs))};
}

Result<Reading> ask_in_flight() {
  const Result<std::string> answer = ctl::ask(watch::bus::in_flight, "", plugin_patience);
  return answer ? ctl::read_answer(answer.value()) : for_exporter(answer.error());
}

Result<std::string> ask_version() {
  return for_exporter(ctl::plugin_version(plugin_patience));
}

Site look() {
  return ctl::metrics::look(ctl::Files::of_this_machine());
}

Error too_late() {
  return {ETIMEDOUT,
          "tcmu-runner did not answer in time, or this process has no memory or thread to ask it"};
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "this machine";
}

std::string page_or_why_not(View view) {
  try {
    return exporter::page(view);
  } catch (const nlohmann::json::exception& error) {
    view.notes.push_back(fmt::format(
        "The state of the LUNs is not known: the plugin's answer is not as this version knows it "
        "({}).",
        error.what()));
    view.list = view.in_flight = {};
    return exporter::page(view);
  }
}

}  // namespace

Exporter::Exporter()
    : plugin_{"ask-plugin", ask_plugin},
      in_flight_{"ask-commands", ask_in_flight},
      version_{"ask-version", ask_version},
      site_{"look-at-kernel", look} {}

Answer Exporter::answer(std::string_view path) {
  if (path == "/metrics") {
    return metrics();
  }
  if (path == "/healthz") {
    return health();
  }
  if (path == "/") {
    return page();
  }
  return {.status = 404, .body = "there are /, /metrics and /healthz\n"};
}

Answer Exporter::metrics() {
  const std::shared_ptr<const Site> site = site_.get(site_patience);
  const std::shared_ptr<const PluginAnswers> plugin = plugin_.get(plugin_patience + slack);
  const ctl::metrics::Gathered gathered = ctl::metrics::gather(
      plugin ? *plugin : PluginAnswers{too_late(), too_late(), too_late(), too_late()},
      site ? std::optional{*site} : std::nullopt);
  return {.type = "text/plain; version=0.0.4; charset=utf-8",
          .body = ctl::metrics::as_text(gathered.families)};
}

Answer Exporter::health() {
  const std::shared_ptr<const Result<std::string>> version = version_.get(plugin_patience + slack);
  const Result<std::string> known = version ? *version : too_late();
  if (!known) {
    return {.status = 503, .body = known.error().message + "\n"};
  }
  return {.body = fmt::format("the plugin, version {}, answers\n", known.value())};
}

Answer Exporter::page() {
  const auto until = std::chrono::steady_clock::now() + most_patience;
  View view;
  view.host = host_name();
  view.tool_version = version;
  if (const std::shared_ptr<const Site> site = site_.get(site_patience); site) {
    view.exports = site->exports;
  } else {
    view.notes.push_back(
        fmt::format("Where the target shows the LUNs is not known: {}.", ctl::files_hang));
  }
  const std::shared_ptr<const PluginAnswers> plugin = plugin_.get(plugin_patience + slack);
  const Result<std::string> known = plugin ? plugin->version : too_late();
  if (!known) {
    view.notes.push_back("The state of the LUNs is not known: " + known.error().message + ".");
  } else if (view.plugin_version = known.value(); !plugin->list) {
    view.notes.push_back("The state of the LUNs is not known: " + plugin->list.error().message +
                         ".");
  } else {
    view.list = plugin->list.value();
    const auto commands = in_flight_.get(until - std::chrono::steady_clock::now());
    const Result<Reading> read = commands ? *commands : too_late();
    if (read) {
      view.in_flight = read.value();
    } else {
      view.notes.push_back("The oldest commands are not known: " + read.error().message + ".");
    }
  }
  return {.type = "text/html; charset=utf-8", .body = page_or_why_not(std::move(view))};
}

}  // namespace ballast::exporter

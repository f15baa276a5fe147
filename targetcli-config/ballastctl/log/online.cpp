// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/log/online.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "targetcli-config/ballastctl/ask/daemon.h"
#include "targetcli-config/ballastctl/text/log_text.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;
namespace bus = watch::bus;

// Much shorter than the time for which the daemon remembers a wish (lib/backend/log_control.h).
constexpr std::chrono::seconds between_wishes{1};
constexpr std::chrono::seconds between_lines{5};

Result<OnlineLog> ask_one(const bus::Method& method, const std::string& lun) {
  Result<std::string> answer = ask(method, lun);
  if (!answer) {
    return answer.error();
  }
  Result<Reading> reading = read_answer(answer.value());
  if (!reading) {
    return reading.error();
  }
  std::vector<json>& luns = reading.value().luns;
  if (luns.size() != 1) {
    return Error{ETIMEDOUT,
                 fmt::format("LUN {} does not answer: its thread is busy or stuck", lun)};
  }
  return OnlineLog{.document = std::move(answer).value(), .lun = std::move(luns.front())};
}

std::uint64_t number(const json& object, const char* member) {
  return object.at(member).get<std::uint64_t>();
}

// The line about a wait, now and then.
class Progress {
 public:
  Progress(std::string lun, std::FILE* out) : lun_{std::move(lun)}, out_{out} {}
  void show(const std::string& text) {
    const auto now = steady_clock::now();
    if (now - last_ < between_lines) {
      return;
    }
    last_ = now;
    fmt::print(out_, "{}: {}\n", printable(lun_), printable(text));
    std::fflush(out_);
  }

 private:
  const std::string lun_;
  std::FILE* const out_;
  steady_clock::time_point last_ = steady_clock::now();
};

[[noreturn]] void fail_for(const std::string& lun, const Error& error) {
  fail((error.errno_value == EIO ? printable(lun) + ": " : "") + error.message);
}

}  // namespace

bool OnlineLog::is_let_go() const {
  const nlohmann::json& state = log().at("state");
  return state == "let go" || state == "retired";
}

bool may_be_lun(const std::string& argument) {
  return argument.find_first_of("/=") == std::string::npos;
}

Result<OnlineLog> log_of_lun(const std::string& lun) {
  return ask_one(bus::log, lun);
}

std::optional<OnlineLog> lun_with_log(const std::string& path) {
  const Result<std::string> answer = ask(bus::log, {});
  if (!answer) {
    return std::nullopt;
  }
  const Reading reading = or_fail(read_answer(answer.value()));
  for (const json& lun : reading.luns) {
    const json& log = lun.at("log");
    if (log.is_object() && log.at("device") == "file=" + path && log.at("state") != "let go") {
      Result<OnlineLog> found = log_of_lun(lun.at("name").get<std::string>());
      return found.ok() ? std::optional{std::move(found).value()} : std::nullopt;
    }
  }
  return std::nullopt;
}

OnlineLog drain_online(const std::string& lun, bool lets_go, std::FILE* progress_to) {
  const bus::Method& wish = lets_go ? bus::let_log_go : bus::hurry_log;
  Progress progress{lun, progress_to};
  std::optional<std::uint64_t> last;  // the newest block that was there in the beginning
  for (;;) {
    Result<OnlineLog> asked = ask_one(wish, lun);
    if (!asked && (asked.error().errno_value != ETIMEDOUT || !last.has_value())) {
      fail_for(lun, asked.error());
    }
    if (!asked) {
      progress.show(asked.error().message);
      continue;
    }
    const json& log = asked.value().log();
    last = last.value_or(number(log, "last_block"));
    if (log.at("state") == "damaged") {
      fail(
          fmt::format("{}: its log cannot be read, so the store does not get what it has: the log "
                      "of the daemon says more",
                      printable(lun)));
    }
    if (asked.value().is_let_go() || (!lets_go && number(log, "first_block") > *last)) {
      return std::move(asked).value();
    }
    progress.show(waiting_text(log));
    std::this_thread::sleep_for(between_wishes);
  }
}

}  // namespace ballast::ctl
